//! A run that reads its dataset from a pipe which stays open, so that a test says how far it comes.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::folder::{Ended, Folder};

/// How long anything may take on a busy machine before a test says that it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run that is going on. It does not outlive its test.
pub(crate) struct Live<'a> {
    folder: &'a Folder,
    child: Option<Child>,
    dataset: Option<ChildStdin>,
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A row whose reference is its input.
pub(crate) fn row(number: u64) -> String {
    format!("{{\"item_id\": \"i{number}\", \"input\": \"{number}\", \"reference_output\": \"{number}\"}}\n")
}

impl<'a> Live<'a> {
    /// Starts `ef run spec.yaml` on a pipe, as the run `live`.
    pub(crate) fn start(folder: &'a Folder) -> Self {
        Self::start_ef(folder, "run spec.yaml --dataset - --run-id live")
    }

    /// Starts `ef` with these arguments, which are separated by blanks, with a pipe on standard input.
    pub(crate) fn start_ef(folder: &'a Folder, line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ef"))
            .args(line.split_whitespace())
            .env_clear()
            .env("EVAL_FABRIC_LOG_LEVEL", "off")
            .current_dir(folder.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ef can be started");
        let dataset = child.stdin.take();
        Self { folder, child: Some(child), dataset }
    }

    /// Feeds rows from then on, without waiting for them.
    pub(crate) fn feed(&mut self, rows: impl IntoIterator<Item = u64>) -> io::Result<()> {
        self.feed_text(&rows.into_iter().map(row).collect::<String>())
    }

    /// Feeds rows that are written out.
    pub(crate) fn feed_text(&mut self, rows: &str) -> io::Result<()> {
        self.dataset.as_mut().expect("the pipe is open").write_all(rows.as_bytes())
    }

    /// Feeds rows in the background for as long as the run takes them, about a thousand a second.
    pub(crate) fn feed_without_end(&mut self) {
        let mut pipe = self.dataset.take().expect("the pipe is open");
        thread::spawn(move || {
            (1..).try_for_each(|number| {
                if number % 2 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
                pipe.write_all(row(number).as_bytes())
            })
        });
    }

    /// The dataset ends.
    pub(crate) fn end_dataset(&mut self) {
        self.dataset = None;
    }

    /// Waits until another program finds that many records of the run in the store.
    pub(crate) fn wait_for_records(&mut self, least: usize) {
        self.wait_for_records_of("live", least);
    }

    /// The same for a run of this id.
    pub(crate) fn wait_for_records_of(&mut self, run: &str, least: usize) {
        let begun = Instant::now();
        // Until the run has begun there is nothing to show.
        let line = format!("show {run} --traces --format json");
        let found = |folder: &Folder| folder.ef(&line).stdout.lines().count();
        while found(self.folder) < least {
            assert!(self.is_running(), "the run ended before it had {least} records");
            assert!(begun.elapsed() < PATIENCE, "the run does not get to {least} records");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child().try_wait().expect("the program can be asked").is_none()
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&mut self, name: &str) {
        self.signals(&[name]);
    }

    /// Sends signals, one straight after the other.
    pub(crate) fn signals(&mut self, names: &[&str]) {
        let id = self.child().id();
        let kills: String = names.iter().map(|name| format!("kill -{name} {id};")).collect();
        let sent = Command::new("sh").args(["-ec", &kills]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{kills}");
    }

    /// Reads a line that the run says to the person at the terminal.
    pub(crate) fn line_of_stderr(&mut self) -> String {
        let stderr = self.child().stderr.as_mut().expect("it is piped");
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            assert_eq!(stderr.read(&mut byte).expect("it can be read"), 1, "standard error ended");
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("UTF-8")
    }

    /// Waits until the run has ended.
    pub(crate) fn ended(mut self) -> Ended {
        let begun = Instant::now();
        while self.is_running() {
            assert!(begun.elapsed() < PATIENCE, "the run does not end");
            thread::sleep(Duration::from_millis(2));
        }
        // What it still had to say fits into the pipes.
        let output = self.child.take().expect("it was started").wait_with_output().expect("it ended");
        Ended::of(&output)
    }

    /// Kills the run as the kernel does when memory runs out.
    pub(crate) fn kill(mut self) {
        self.child().kill().expect("it can be killed");
        self.child().wait().expect("it ended");
    }
}

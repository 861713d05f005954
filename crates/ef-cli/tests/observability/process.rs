//! A run that is going on, seen from outside: its threads, its time, its end.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::folder::{Ended, Folder};

/// How long anything may take on a busy machine before a test says that it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A run in the background. It does not outlive its test.
pub(crate) struct Running {
    child: Option<Child>,
    /// What it says on standard output and standard error, as much as that may be.
    said: Option<[JoinHandle<Vec<u8>>; 2]>,
    begun: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    /// Starts `ef` with these variables alone.
    pub(crate) fn start(folder: &Folder, line: &str, variables: &[(String, String)]) -> Self {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ef"))
            .args(line.split_whitespace())
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ef can be started");
        let (stdout, stderr) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
        Self { child: Some(child), said: Some([listen(stdout), listen(stderr)]), begun }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child().try_wait().expect("the program can be asked").is_none()
    }

    /// The names of its threads at this moment; those of the runtime, of which there are more or less, count once.
    pub(crate) fn threads(&mut self) -> BTreeSet<String> {
        let tasks = format!("/proc/{}/task", self.child().id());
        let tasks = fs::read_dir(tasks).expect("a process has threads").filter_map(Result::ok);
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).collect()
    }

    /// Waits until another program finds that many records of a run in the store.
    pub(crate) fn wait_for_records(&mut self, folder: &Folder, run: &str, least: usize) {
        let line = format!("show {run} --traces --format json");
        let begun = Instant::now();
        while folder.ef(&line).stdout.lines().count() < least {
            assert!(self.is_running(), "the run ended before it had {least} records");
            assert!(begun.elapsed() < PATIENCE, "the run does not get to {least} records");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it as the kernel does when memory runs out.
    pub(crate) fn kill(mut self) {
        self.child().kill().expect("it can be killed");
        self.child().wait().expect("it ended");
    }

    /// Waits for its end; the time is that from its start to its end.
    pub(crate) fn ended(mut self) -> (Ended, Duration) {
        while self.is_running() {
            assert!(self.begun.elapsed() < PATIENCE, "the run does not end");
            thread::sleep(Duration::from_millis(1));
        }
        let took = self.begun.elapsed();
        let status = self.child().wait().expect("it ended");
        let [stdout, stderr] =
            self.said.take().expect("it is listened to").map(|said| said.join().expect("it is read"));
        (Ended::of(&Output { status, stdout, stderr }), took)
    }
}

fn listen(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("it can be read");
        said
    })
}

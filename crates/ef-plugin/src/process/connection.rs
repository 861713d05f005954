//! One process: what goes to it, what comes from it, and how it ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ef_model::Redacted;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::command::PluginCommand;
use super::failure::{Cause, Ended, Failure, excerpt};
use super::group::Group;
use super::handshake::Created;
use super::lines::{Line, LineBuffer};
use super::pending::{Pending, Reply};
use super::stderr::StderrTail;
use super::wire::{self, Message};

/// How many messages wait to be written before those who ask have to wait.
const QUEUE: usize = 64;
/// From how many bytes on they are written without waiting for more.
const BATCH_BYTES: usize = 64 << 10;
/// How long to wait for the other signs of an end after the first.
const LINGER: Duration = Duration::from_millis(500);
/// How long to wait for the last words of a process that has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A line to be written; with the id of its request, if it is to be left out once nobody waits for that.
struct Outgoing {
    id: Option<u64>,
    line: String,
}

/// What is known of the components made in a process, by their keys.
pub(super) type Instances = Mutex<HashMap<u64, Arc<OnceCell<Created>>>>;

/// A running process. It is ended when this is dropped, in its own time.
pub(super) struct Connection {
    pending: Arc<Pending>,
    outgoing: mpsc::Sender<Outgoing>,
    /// How many more requests the plugin takes. Closed when the process has ended.
    permits: Arc<Semaphore>,
    pub(super) instances: Instances,
    last_instance: AtomicU64,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    most: usize,
    /// The process's id.
    pub(super) process: i32,
}

impl Connection {
    /// Starts a process. It takes no request but `initialize` until [`Self::open`].
    pub(super) fn start(command: &PluginCommand, stderr: &Arc<StderrTail>) -> std::io::Result<Self> {
        let mut group = Group::start(&mut command.start())?;
        let process = group.id();
        let child = group.child();
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(errors)) = pipes else {
            return Err(std::io::Error::other("a process was started without its pipes"));
        };
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel();
        let (pending, permits) = (Arc::new(Pending::default()), Arc::new(Semaphore::new(0)));
        let drained = {
            let stderr = Arc::clone(stderr);
            AbortOnDrop(tokio::spawn(async move { stderr.drain(errors).await }))
        };
        let keeper = Keeper {
            plugin: command.name.clone(),
            pending: Arc::clone(&pending),
            permits: Arc::clone(&permits),
            stderr: Arc::clone(stderr),
            drained,
            most: command.max_message_bytes,
            grace: command.grace,
        };
        let keeper = tokio::spawn(keeper.keep(group, stdin, stdout, queue, stopped));
        Ok(Self {
            pending,
            outgoing,
            permits,
            instances: Mutex::default(),
            last_instance: AtomicU64::new(0),
            stop: Mutex::new(Some(stop)),
            keeper: Mutex::new(Some(keeper)),
            most: command.max_message_bytes,
            process,
        })
    }

    /// Lets requests in, as many at a time as the plugin takes.
    pub(super) fn open(&self, max_in_flight: Option<u32>) {
        let unlimited = Semaphore::MAX_PERMITS / 2;
        self.permits.add_permits(max_in_flight.map_or(unlimited, |most| usize::try_from(most).unwrap_or(unlimited)));
    }

    /// Waits until the plugin takes another request. `None` when the process has ended.
    pub(super) async fn permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// A number for a new instance.
    pub(super) fn next_instance(&self) -> u64 {
        self.last_instance.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How the process ended, if it has.
    pub(super) fn ended(&self) -> Option<Arc<Ended>> {
        self.pending.ended()
    }

    /// Asks and waits for the answer. Dropping the future cancels the request.
    ///
    /// The outer error means that nothing was sent, because the process has ended.
    pub(super) async fn request(&self, method: &str, params: impl FnOnce(&mut String)) -> Result<Reply, Arc<Ended>> {
        let (id, answer) = self.pending.ask()?;
        let asked = Asked { connection: self, id };
        let line = wire::request(id, method, params);
        if line.len() > self.most {
            return Ok(Err(Failure::TooLarge { bytes: line.len(), most: self.most }));
        }
        // Where nobody takes it, the process is ending, and that is what will be heard.
        let _ = self.outgoing.send(Outgoing { id: Some(id), line }).await;
        let reply = answer.await;
        drop(asked);
        // Not even the end of the process was told: the runtime is ending.
        Ok(reply.unwrap_or_else(|_| Err(Failure::malformed("never came", &[]))))
    }

    /// Tells the process to end, and waits until it has.
    pub(super) async fn shut_down(&self, grace: Duration) {
        if self.ended().is_none() {
            let _ = timeout(grace, self.request("shutdown", |line| line.push_str("{}"))).await;
        }
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

/// A request under way. When it is dropped unanswered, the plugin is told that nobody waits any more.
struct Asked<'c> {
    connection: &'c Connection,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.connection.pending.cancel(self.id) {
            // Where the queue is full the plugin is behind; its late answer is dropped anyway.
            let _ = self.connection.outgoing.try_send(Outgoing { id: None, line: wire::cancel(self.id) });
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What watches over a process until it has ended.
struct Keeper {
    /// The plugin's name.
    plugin: String,
    pending: Arc<Pending>,
    permits: Arc<Semaphore>,
    stderr: Arc<StderrTail>,
    drained: AbortOnDrop,
    most: usize,
    grace: Duration,
}

impl Keeper {
    async fn keep(
        mut self,
        mut group: Group,
        stdin: ChildStdin,
        stdout: ChildStdout,
        queue: mpsc::Receiver<Outgoing>,
        stopped: oneshot::Receiver<()>,
    ) {
        let (closed, stdin_closed) = oneshot::channel();
        let writer = {
            let pending = Arc::clone(&self.pending);
            AbortOnDrop(tokio::spawn(async move {
                if write_requests(stdin, queue, &pending).await.is_err() {
                    let _ = closed.send(());
                }
            }))
        };
        let pending = Arc::clone(&self.pending);
        let mut reader = std::pin::pin!(read_answers(stdout, self.most, &pending));
        let (cause, culprit) = tokio::select! {
            stop = &mut reader => match stop.violation {
                Some(cause) => (cause, stop.culprit),
                None => {
                    let exit = timeout(LINGER, group.wait()).await;
                    (exit.map_or(Cause::StdoutClosed, Cause::Exited), stop.culprit)
                }
            },
            // What it wrote before its end is still in the pipe.
            status = group.wait() => {
                let stop = timeout(LINGER, &mut reader).await.unwrap_or_default();
                (stop.violation.unwrap_or(Cause::Exited(status)), stop.culprit)
            }
            Ok(()) = stdin_closed => {
                match timeout(LINGER, async { tokio::join!(&mut reader, group.wait()) }).await {
                    Ok((stop, status)) => (stop.violation.unwrap_or(Cause::Exited(status)), stop.culprit),
                    Err(_) => (Cause::StdinClosed, None),
                }
            }
            _ = stopped => (Cause::Unneeded, None),
        };
        // This closes its standard input.
        drop(writer);
        let grace = if cause == Cause::Unneeded { self.grace } else { Duration::ZERO };
        let is_violation = matches!(cause, Cause::Violation { .. });
        let ended = Arc::new(Ended { cause, stderr: Arc::clone(&self.stderr) });
        self.pending.close(&ended);
        self.permits.close();
        if is_violation {
            group.kill();
        }
        if ended.cause != Cause::Unneeded {
            let _ = timeout(LAST_WORDS, &mut self.drained.0).await;
        }
        self.tell(&ended, group.id());
        self.pending.fail(|id| match &culprit {
            Some((culprit, failure)) if *culprit == id => failure.clone(),
            _ => Failure::Ended(Arc::clone(&ended)),
        });
        group.end(grace).await;
    }

    /// Tells how the process ended, and of what it wrote to its standard error no more than how many lines.
    fn tell(&self, Ended { cause, stderr }: &Ended, process: i32) {
        let (plugin, stderr_lines) = (&self.plugin, stderr.lines());
        match cause {
            Cause::Unneeded => debug!(plugin, process, stderr_lines, "plugin stopped"),
            Cause::Violation { what, .. } => {
                warn!(plugin, process, fault = what, stderr_lines, "plugin broke the protocol");
            }
            Cause::Exited(_) | Cause::StdoutClosed | Cause::StdinClosed => {
                warn!(plugin, process, %cause, stderr_lines, "plugin ended");
            }
        }
    }
}

/// Writes what is queued, all that there is with one call, until the queue is closed.
async fn write_requests(
    mut stdin: ChildStdin,
    mut queue: mpsc::Receiver<Outgoing>,
    pending: &Pending,
) -> std::io::Result<()> {
    let (mut batch, mut bytes) = (Vec::with_capacity(QUEUE), Vec::new());
    while queue.recv_many(&mut batch, QUEUE).await > 0 {
        pending.retain_wanted(&mut batch, |message| message.id);
        for message in batch.drain(..) {
            bytes.extend_from_slice(message.line.as_bytes());
            if bytes.len() >= BATCH_BYTES {
                stdin.write_all(&bytes).await?;
                bytes.clear();
            }
        }
        stdin.write_all(&bytes).await?;
        bytes.clear();
        bytes.shrink_to(2 * BATCH_BYTES);
    }
    Ok(())
}

/// Why nothing more is read.
#[derive(Default)]
struct Stop {
    /// What the process said that it must not; nothing where there is no more to read.
    violation: Option<Cause>,
    /// The request whose answer was the last thing that was read, and what is wrong with it.
    culprit: Option<(u64, Failure)>,
}

impl Stop {
    fn violation(what: String, line: &[u8], culprit: Option<(u64, Failure)>) -> Self {
        let (said, is_known) = (Redacted::new(excerpt(line)), culprit.is_some());
        Self { violation: Some(Cause::Violation { what, said, is_known }), culprit }
    }
}

/// Hands out answers until there are no more, or something comes that is none.
async fn read_answers(mut stdout: impl AsyncRead + Unpin, most: usize, pending: &Pending) -> Stop {
    let culprit = |line: &[u8], fault| {
        let id = wire::probable_id(line).filter(|id| pending.is_waiting(*id))?;
        Some((id, Failure::malformed(fault, line)))
    };
    let mut lines = LineBuffer::new(most);
    loop {
        loop {
            match lines.next_line() {
                Line::Partial => break,
                Line::Whole(line) => {
                    if let Err(what) = take(line, pending) {
                        return Stop::violation(what, line, None);
                    }
                }
                Line::TooLong(line) => {
                    let culprit = culprit(line, "is longer than a message may be");
                    let what = format!("it wrote a line of more than {most} bytes to its standard output");
                    return Stop::violation(what, line, culprit);
                }
            }
        }
        if !matches!(stdout.read_buf(lines.space()).await, Ok(1..)) {
            return Stop { violation: None, culprit: culprit(lines.rest(), "is only half a line") };
        }
    }
}

/// Hands one answer to whoever waits for it; or says what is wrong, if that concerns no single request.
fn take(line: &[u8], pending: &Pending) -> Result<(), String> {
    let (id, reply) = match wire::read(line) {
        Message::Answer { id, outcome: Ok(result) } => (id, Ok(result.into())),
        Message::Answer { id, outcome: Err(error) } => (id, Err(Failure::Error(error.into()))),
        Message::Malformed { id: Some(id), fault } => (id, Err(Failure::malformed(fault, line))),
        Message::Malformed { id: None, fault } => {
            return Err(format!("it wrote a line to its standard output that {fault}"));
        }
    };
    pending.answer(id, reply).map_err(|_| "it answered a request that does not wait for an answer".to_owned())
}

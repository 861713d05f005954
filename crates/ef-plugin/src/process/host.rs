//! All processes of a plugin: which one gets a call, and what happens when one ends.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use ef_model::{CallContext, CallError, ComponentId, CreateError, ErrorKind, Redacted};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::command::PluginCommand;
use super::connection::Connection;
use super::failure::{Cause, Ended, Failure, PluginError, RpcError, broken};
use super::handshake::{Created, Description, create_error};
use super::slot::{Next, Slot, State};
use super::stderr::{StderrTail, quotable};
use super::{PROTOCOL_VERSION, wire};
use crate::ComponentKind;
use crate::masking::Mask;

/// After how many ends in a row, without an answer between them, a plugin is broken.
const MOST_CRASHES: u32 = 5;
/// After how many messages that it must not send a plugin is broken.
const MOST_VIOLATIONS: u32 = 3;
/// The longest wait before a process is started again.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// How many digits of a plugin's digest a log line shows.
const SHOWN_DIGEST: usize = 12;

/// A component that every process has to make before it can be called.
pub(super) struct Instance {
    key: u64,
    kind: ComponentKind,
    id: ComponentId,
    /// The config as JSON: its variables are filled in.
    config: Redacted<String>,
}

/// All processes of a plugin.
pub(super) struct Host {
    pub(super) command: PluginCommand,
    /// Keeps the secrets of its environment out of what it says.
    mask: Mask,
    slots: Vec<Slot>,
    description: OnceLock<Arc<Description>>,
    /// Why no process is started any more.
    broken: OnceLock<Arc<PluginError>>,
    crashes: AtomicU32,
    violations: AtomicU32,
    last_key: AtomicU64,
    is_shut_down: AtomicBool,
    /// Of the process that was started last.
    stderr: Mutex<Arc<StderrTail>>,
}

/// Why a process has not made an instance.
enum NotMade {
    /// It was not asked: it has ended.
    NotAsked,
    TimedOut,
    Failed(Failure),
}

impl Host {
    pub(super) fn new(command: PluginCommand) -> Self {
        Self {
            slots: (0..command.processes.max(1)).map(|_| Slot::new()).collect(),
            mask: Mask::of_secrets(&command.environment),
            command,
            description: OnceLock::new(),
            broken: OnceLock::new(),
            crashes: AtomicU32::new(0),
            violations: AtomicU32::new(0),
            last_key: AtomicU64::new(0),
            is_shut_down: AtomicBool::new(false),
            stderr: Mutex::default(),
        }
    }

    /// What the plugin says of itself; a process is started if none has been.
    pub(super) async fn describe(self: &Arc<Self>) -> Result<Arc<Description>, Arc<PluginError>> {
        if let Some(description) = self.description.get() {
            return Ok(Arc::clone(description));
        }
        self.ready(self.least_loaded()).await?;
        self.description
            .get()
            .cloned()
            .ok_or_else(|| Arc::new(self.error("it has not described itself".to_owned(), None)))
    }

    pub(super) fn stderr(&self) -> Arc<StderrTail> {
        Arc::clone(&self.stderr.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A component to be made. Nothing is asked of any process yet.
    pub(super) fn instance(&self, kind: ComponentKind, id: ComponentId, config: &Value) -> Instance {
        let key = self.last_key.fetch_add(1, Ordering::Relaxed);
        Instance { key, kind, id, config: Redacted::new(config.to_string()) }
    }

    /// Makes the instance in one process, to see whether it can be made.
    pub(super) async fn create(self: &Arc<Self>, instance: &Instance) -> Result<Created, CreateError> {
        loop {
            let slot = self.least_loaded();
            let _taken = slot.take();
            let connection = self.ready(slot).await.map_err(|error| CreateError::Broken(error.in_full()))?;
            let Some(_permit) = connection.permit().await else { continue };
            match self.made(&connection, instance).await {
                Ok(created) => return Ok(created),
                Err(NotMade::NotAsked) => {}
                Err(NotMade::TimedOut) => return Err(CreateError::Broken(self.create_timed_out())),
                Err(NotMade::Failed(Failure::Error(error))) => {
                    return Err(create_error(&self.command.name, &error, &self.mask));
                }
                Err(NotMade::Failed(Failure::Ended(ended))) => {
                    let name = &self.command.name;
                    return Err(CreateError::Broken(match ended.stderr.last_line(&self.mask) {
                        Some(line) => format!("the plugin `{name}` did not make it: {}: {line}", ended.cause),
                        None => format!("the plugin `{name}` did not make it: {}", ended.cause),
                    }));
                }
                Err(NotMade::Failed(failure)) => {
                    return Err(CreateError::Broken(failure.into_call_error(&self.command.name).message));
                }
            }
        }
    }

    /// Calls an instance: `params` writes the parameters, given the instance's number. Waiting for a turn, for a process and
    /// for the instance does not count towards the attempt's time.
    pub(super) async fn call(
        self: &Arc<Self>,
        instance: &Instance,
        method: &str,
        context: &CallContext,
        params: impl Fn(&mut String, u64),
    ) -> Result<Box<str>, CallError> {
        loop {
            let paused = context.pause_clock();
            let slot = self.least_loaded();
            let _taken = slot.take();
            let connection = self.ready(slot).await.map_err(|error| broken(&error))?;
            let Some(_permit) = connection.permit().await else { continue };
            let created = match self.made(&connection, instance).await {
                Ok(created) => created,
                Err(NotMade::NotAsked) => continue,
                Err(NotMade::TimedOut) => {
                    return Err(CallError::new(ErrorKind::Transient, "create_timeout", self.create_timed_out()));
                }
                Err(NotMade::Failed(failure)) => return Err(failure.into_call_error(&self.command.name)),
            };
            drop(paused);
            match connection.request(method, |line| params(line, created.number)).await {
                Err(_) => {}
                Ok(Ok(result)) => {
                    self.answered();
                    return Ok(result);
                }
                Ok(Err(failure)) => {
                    if let Failure::Error(_) = failure {
                        self.answered();
                    }
                    return Err(failure.into_call_error(&self.command.name));
                }
            }
        }
    }

    /// Ends all processes, gracefully, and starts none any more.
    pub(super) async fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Relaxed);
        let error = self.give_up("it was shut down".to_owned(), None);
        let states: Vec<_> = self.slots.iter().map(|slot| slot.set(State::Broken(Arc::clone(&error)))).collect();
        let ends = states.into_iter().filter_map(|state| match state {
            // In tasks of their own, so that they end side by side.
            State::Ready(connection) => {
                let grace = self.command.grace;
                Some(tokio::spawn(async move { connection.shut_down(grace).await }))
            }
            _ => None,
        });
        for end in ends.collect::<Vec<_>>() {
            let _ = end.await;
        }
    }

    fn least_loaded(&self) -> &Slot {
        // There is at least one.
        self.slots.iter().min_by_key(|slot| slot.load()).unwrap_or(&self.slots[0])
    }

    /// The slot's process, started if need be.
    async fn ready(self: &Arc<Self>, slot: &Slot) -> Result<Arc<Connection>, Arc<PluginError>> {
        loop {
            match slot.next() {
                Next::Use(connection) => return Ok(connection),
                Next::GiveUp(error) => return Err(error),
                Next::Wait => slot.started().await,
                Next::Start(before) => {
                    let index = self.slots.iter().position(|other| std::ptr::eq(other, slot)).unwrap_or_default();
                    let host = Arc::clone(self);
                    // Whoever asked may lose patience; a process that starts slowly must start all the same.
                    tokio::spawn(async move { host.fill(index, before).await });
                }
            }
        }
    }

    /// Starts a slot's process, again and again if need be.
    async fn fill(&self, index: usize, before: Option<Arc<Ended>>) {
        if let Some(ended) = before {
            self.count(&ended.cause);
            if self.broken.get().is_none() && ended.cause != Cause::Unneeded {
                let (plugin, wait_ms) =
                    (&self.command.name, u64::try_from(self.delay().as_millis()).unwrap_or(u64::MAX));
                let (crashes, violations) =
                    (self.crashes.load(Ordering::Relaxed), self.violations.load(Ordering::Relaxed));
                warn!(plugin, crashes, violations, wait_ms, "plugin is started again");
            }
        }
        let state = loop {
            if let Some(error) = self.broken.get() {
                break State::Broken(Arc::clone(error));
            }
            sleep(self.delay()).await;
            match self.start().await {
                Ok(connection) => break State::Ready(connection),
                Err(error) => {
                    // Why is said by the error alone: it may quote the plugin.
                    warn!(plugin = self.command.name, "plugin did not start");
                    if self.description.get().is_none() || !error.is_crash {
                        break State::Broken(Arc::clone(self.broken.get_or_init(|| Arc::new(error.error))));
                    }
                    self.count_crash(&error.error.reason);
                }
            }
        };
        let was_shut_down = self.is_shut_down.load(Ordering::Relaxed);
        let refused = match state {
            State::Ready(connection) if was_shut_down => Some(connection),
            state => {
                self.slots[index].set(state);
                None
            }
        };
        if let Some(connection) = refused {
            self.slots[index].set(State::Broken(self.give_up("it was shut down".to_owned(), None)));
            connection.shut_down(self.command.grace).await;
        }
    }

    /// Starts a process and shakes hands.
    async fn start(&self) -> Result<Arc<Connection>, NotStarted> {
        self.measure().await?;
        let began = Instant::now();
        let stderr = Arc::new(StderrTail::default());
        *self.stderr.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&stderr);
        let connection = Connection::start(&self.command, &stderr).map_err(|error| self.not_started(&error))?;
        let hello = json!({
            "protocol_version": PROTOCOL_VERSION,
            "host": {"name": "ef", "version": env!("CARGO_PKG_VERSION")},
            "max_message_bytes": self.command.max_message_bytes,
        });
        let asked = connection.request("initialize", |line| line.push_str(&hello.to_string()));
        let limit = self.command.start_timeout;
        let reply = match timeout(limit, asked).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(ended)) => Err(Failure::Ended(ended)),
            Err(_) => {
                let reason = format!("it did not answer `initialize` within {limit:?}");
                let hint = "raise its start timeout if it needs longer; what loads slowly may be loaded in `create`";
                return Err(self.crashed(reason, Some(hint)));
            }
        };
        let result = reply.map_err(|failure| self.no_handshake(failure))?;
        let said = Description::read(&result, began.elapsed()).map_err(|fault| {
            let fault = self.mask.text(&fault);
            self.refused(format!("its answer to `initialize` does not fit the protocol: {fault}"))
        })?;
        let max_in_flight = said.max_in_flight;
        let first = self.description.get_or_init(|| Arc::new(said.clone()));
        if !first.is_same(&said) {
            return Err(self.refused("another of its processes provides something else".to_owned()));
        }
        connection.open(max_in_flight);
        info!(
            plugin = self.command.name,
            version = said.version,
            digest = &self.command.digest.to_string()[..SHOWN_DIGEST],
            process = connection.process,
            started_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "plugin started"
        );
        Ok(Arc::new(connection))
    }

    /// Whether the plugin is still the one whose digest is in the records.
    async fn measure(&self) -> Result<(), NotStarted> {
        let Some(measure) = self.command.measure.clone() else { return Ok(()) };
        let measured = tokio::task::spawn_blocking(move || measure()).await.map_err(io::Error::other);
        match measured.and_then(|measured| measured) {
            Ok(digest) if digest == self.command.digest => Ok(()),
            Ok(_) => Err(self.refused("its files have changed since it was found".to_owned())),
            Err(error) => Err(self.refused(format!("its files cannot be read: {error}"))),
        }
    }

    /// What the process says of the instance, which it is asked to make if it has not been.
    async fn made(&self, connection: &Connection, instance: &Instance) -> Result<Created, NotMade> {
        let cell = {
            let mut instances = connection.instances.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(instances.entry(instance.key).or_default())
        };
        cell.get_or_try_init(|| self.make(connection, instance)).await.cloned()
    }

    async fn make(&self, connection: &Connection, instance: &Instance) -> Result<Created, NotMade> {
        let number = connection.next_instance();
        let params = |line: &mut String| {
            wire::create_params(line, number, instance.kind, &instance.id, instance.config.expose());
        };
        match timeout(self.command.start_timeout, connection.request("create", params)).await {
            Err(_) => Err(NotMade::TimedOut),
            Ok(Err(_)) => Err(NotMade::NotAsked),
            Ok(Ok(Err(failure))) => Err(NotMade::Failed(failure)),
            Ok(Ok(Ok(result))) => Created::read(&result, number).ok_or_else(|| {
                NotMade::Failed(Failure::malformed("to `create` does not fit the protocol", result.as_bytes()))
            }),
        }
    }

    fn create_timed_out(&self) -> String {
        let PluginCommand { name, start_timeout, .. } = &self.command;
        format!(
            "the plugin `{name}` did not answer `create` within {start_timeout:?}: raise its start timeout if it needs longer"
        )
    }

    /// An answer came: what ended before ended not in a row.
    fn answered(&self) {
        if self.crashes.load(Ordering::Relaxed) > 0 {
            self.crashes.store(0, Ordering::Relaxed);
        }
    }

    /// Counts the end of a process, and gives up after too many.
    fn count(&self, cause: &Cause) {
        match cause {
            Cause::Unneeded => {}
            Cause::Violation { what, .. } => {
                if self.violations.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_VIOLATIONS {
                    let reason = format!("{MOST_VIOLATIONS} of its processes broke the protocol; the last time {what}");
                    self.tell_broken();
                    self.give_up(reason, Some(STDOUT_HINT));
                }
            }
            Cause::Exited(_) | Cause::StdoutClosed | Cause::StdinClosed => self.count_crash(cause),
        }
    }

    fn count_crash(&self, what: &dyn fmt::Display) {
        if self.crashes.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_CRASHES {
            let reason = format!("{MOST_CRASHES} of its processes in a row gave no answer; the last time {what}");
            self.tell_broken();
            self.give_up(reason, Some("its standard error is kept with the errors of the run"));
        }
    }

    fn tell_broken(&self) {
        let (crashes, violations) = (self.crashes.load(Ordering::Relaxed), self.violations.load(Ordering::Relaxed));
        warn!(plugin = self.command.name, crashes, violations, "plugin is given up");
    }

    fn delay(&self) -> Duration {
        match self.crashes.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            crashes => self.command.restart_delay.saturating_mul(1 << (crashes - 1).min(16)).min(LONGEST_DELAY),
        }
    }

    fn give_up(&self, reason: String, hint: Option<&str>) -> Arc<PluginError> {
        Arc::clone(self.broken.get_or_init(|| Arc::new(self.error(reason, hint))))
    }

    fn error(&self, reason: String, hint: Option<&str>) -> PluginError {
        let stderr = self.stderr().text();
        PluginError { plugin: self.command.name.clone(), reason, hint: hint.map(str::to_owned), stderr }
    }
}

const STDOUT_HINT: &str = "standard output belongs to the protocol: print to standard error";

/// Why a process is not there.
struct NotStarted {
    error: PluginError,
    /// Whether it may work the next time.
    is_crash: bool,
}

impl Host {
    fn crashed(&self, reason: String, hint: Option<&str>) -> NotStarted {
        NotStarted { error: self.error(reason, hint), is_crash: true }
    }

    fn refused(&self, reason: String) -> NotStarted {
        NotStarted { error: self.error(reason, None), is_crash: false }
    }

    fn not_started(&self, error: &io::Error) -> NotStarted {
        let program = self.command.wrapper.first().map_or(self.command.program.as_os_str(), |wrapper| wrapper);
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        let reason = format!("`{}` cannot be started: {reason}", program.display());
        let hint = match error.kind() {
            io::ErrorKind::NotFound => {
                Some("the program, the one that its first line names, or its working directory is not there")
            }
            io::ErrorKind::PermissionDenied => Some("`chmod +x` makes a file executable"),
            _ => None,
        };
        self.crashed(reason, hint)
    }

    /// No usable answer to `initialize`. Nothing of a run has been sent, so what the plugin says may be shown, but for what
    /// its environment holds: a key that is refused is often quoted.
    fn no_handshake(&self, failure: Failure) -> NotStarted {
        match failure {
            Failure::Ended(ended) => {
                let said = match &ended.cause {
                    Cause::Violation { said, .. } => Some(quotable(&self.mask.text(said.expose()))),
                    _ => ended.stderr.last_line(&self.mask),
                };
                let said = said.map_or_else(String::new, |said| format!(": {said}"));
                let hint = matches!(ended.cause, Cause::Violation { .. }).then_some(STDOUT_HINT);
                self.crashed(format!("{} before its handshake{said}", ended.cause), hint)
            }
            Failure::Error(error) => {
                let said = serde_json::from_str::<RpcError<'_>>(&error).ok().and_then(|error| error.message);
                let said =
                    said.map_or_else(|| "it does not say why".to_owned(), |said| quotable(&self.mask.text(&said)));
                self.refused(format!("it refused `initialize`: {said}"))
            }
            Failure::Malformed { fault, .. } => self.refused(format!("its answer to `initialize` {fault}")),
            Failure::TooLarge { .. } => self.refused("`initialize` is longer than a message may be".to_owned()),
        }
    }
}

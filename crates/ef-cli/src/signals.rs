//! Ctrl-C and SIGTERM.

use ef_runner::Stopper;

use crate::console;

/// The first signal ends the run gently; with the second it returns, and the run is to be dropped. What was reported as
/// committed is durable either way.
pub(crate) async fn watch(stopper: Stopper) {
    let Ok(mut signals) = Signals::listen() else { return std::future::pending().await };
    signals.next().await;
    stopper.stop();
    console::say("stopping: what is in flight is finished and kept; once more to stop at once");
    signals.next().await;
}

/// Waits for the first signal, for what may end at any moment. Where signals cannot be listened to, there is none.
pub(crate) async fn first() {
    match Signals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

/// The signals that end a run. They are listened to from first to last, so that none is lost between two.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

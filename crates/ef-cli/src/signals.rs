//! Ctrl-C and SIGTERM.

use ef_runner::Stopper;
use indicatif::ProgressBar;

use crate::{Exit, output};

/// The first signal ends the run gently; the second ends the program at once. What was reported as committed is durable
/// either way.
pub(crate) async fn watch(stopper: Stopper, progress: ProgressBar) {
    let Ok(mut signals) = Signals::listen() else { return };
    signals.next().await;
    stopper.stop();
    progress.suspend(|| output::say("stopping: what is in flight is finished and kept; once more to stop at once"));
    signals.next().await;
    std::process::exit(i32::from(Exit::Interrupted.code()));
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

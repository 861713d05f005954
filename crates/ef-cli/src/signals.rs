//! Ctrl-C and SIGTERM.

use ef_runner::Stopper;

use crate::{Exit, output};

/// The first signal ends the run gently; the second ends the program at once. What was reported as committed is durable
/// either way.
pub(crate) async fn watch(stopper: Stopper) {
    if wait().await.is_err() {
        return;
    }
    output::say("stopping: what is in flight is finished and kept; once more to stop at once");
    stopper.stop();
    if wait().await.is_ok() {
        std::process::exit(i32::from(Exit::Interrupted.code()));
    }
}

#[cfg(unix)]
async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

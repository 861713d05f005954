//! A plugin's process with everything that it starts: a process group that ends as a whole.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a process that was told to end by a signal may take to tidy up before it is made to.
const AFTER_SIGNAL: Duration = Duration::from_secs(2);

/// A running process whose group ends with it, and when this is dropped.
pub(super) struct Group {
    id: Pid,
    child: Child,
}

impl Group {
    /// Starts a command that makes a group of its own.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("a process that was just started has no id"))?;
        Ok(Self { id, child })
    }

    /// The first process's id.
    pub(super) const fn id(&self) -> i32 {
        self.id.as_raw()
    }

    /// The first process, for its pipes.
    pub(super) const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until the first process has ended, and ends those that it left behind.
    pub(super) async fn wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.wait().await;
        self.kill();
        status.ok()
    }

    /// Ends every process that is still there, at once.
    pub(super) fn kill(&self) {
        // Fails where none is left.
        let _ = killpg(self.id, Signal::SIGKILL);
    }

    /// Gives the process time to end by itself, then asks it to, then makes it.
    pub(super) async fn end(mut self, grace: Duration) {
        if timeout(grace, self.wait()).await.is_ok() {
            return;
        }
        let _ = killpg(self.id, Signal::SIGTERM);
        if timeout(AFTER_SIGNAL, self.wait()).await.is_ok() {
            return;
        }
        self.kill();
        self.wait().await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once it was waited for, its group is over, and its number may be another's.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

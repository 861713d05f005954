//! One run of a program: what goes in, what comes out, and how it ends.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use ef_model::{CallError, ErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Command;

use super::group::Group;

/// How much is kept of the end of what a failed program wrote.
pub(super) const TAIL_BYTES: usize = 8 << 10;

/// How long the pipes of a program that has ended are read if they stay open: a process that left the group holds them.
/// What the program itself wrote is in the pipe already.
const LINGER: Duration = Duration::from_secs(1);

/// How a program ended.
pub(super) enum Ended {
    /// It never ran.
    NotStarted(CallError),
    /// It ran, and the operating system does not say how it ended.
    Lost,
    /// It wrote more than it may, and was ended. What is here is the end of its standard error.
    TooMuch(Vec<u8>),
    /// It ended by itself, or by someone else's signal.
    Finished(Finished),
}

/// A program that has ended.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The end of it.
    pub(super) stderr: Vec<u8>,
}

/// Runs a program. Dropping the future ends it with its whole process group.
pub(super) async fn run(mut command: Command, input: Vec<u8>, max_output_bytes: usize) -> Ended {
    let mut group = match Group::start(&mut command) {
        Ok(group) => group,
        Err(error) => return Ended::NotStarted(not_started(&error)),
    };
    let child = group.child();
    let (Some(stdin), Some(out), Some(err)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Ended::Lost;
    };
    let (mut stdout, mut stderr) = (Vec::new(), VecDeque::new());
    let status = {
        let mut pipes = pin!(async {
            tokio::try_join!(
                read_all(out, &mut stdout, max_output_bytes),
                read_tail(err, &mut stderr),
                write_all(stdin, &input)
            )
        });
        tokio::select! {
            read = &mut pipes => match read {
                Ok(_) => Some(group.wait().await),
                Err(TooMuch) => None,
            },
            status = group.wait() => match tokio::time::timeout(LINGER, pipes).await {
                Ok(Err(TooMuch)) => None,
                Ok(Ok(_)) | Err(_) => Some(status),
            },
        }
    };
    let stderr = Vec::from(stderr);
    match status {
        None => Ended::TooMuch(stderr),
        Some(Err(_)) => Ended::Lost,
        Some(Ok(status)) => Ended::Finished(Finished { status, stdout, stderr }),
    }
}

fn not_started(error: &io::Error) -> CallError {
    use io::ErrorKind as Cause;
    // Out of processes, memory or file handles, or the file is just being written.
    let kind = match error.kind() {
        Cause::NotFound | Cause::PermissionDenied | Cause::ArgumentListTooLong => ErrorKind::Permanent,
        _ if error.raw_os_error() == Some(nix::libc::ENOEXEC) => ErrorKind::Permanent,
        _ => ErrorKind::Transient,
    };
    let hint = match error.kind() {
        Cause::NotFound => ": the program, or the one that its first line names, is not there any more",
        _ if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
            ": a script has to begin with a line such as #!/bin/sh"
        }
        _ => "",
    };
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    CallError::new(kind, "not_started", format!("the program could not be started: {reason}{hint}"))
}

struct TooMuch;

/// Reads to the end; more than `most` bytes are too much.
async fn read_all(mut pipe: impl AsyncRead + Unpin, kept: &mut Vec<u8>, most: usize) -> Result<(), TooMuch> {
    let mut buffer = vec![0; 16 << 10];
    // A pipe that breaks is at its end.
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        if length > most - kept.len() {
            return Err(TooMuch);
        }
        kept.extend_from_slice(&buffer[..length]);
    }
    Ok(())
}

/// Reads to the end and keeps the last bytes.
async fn read_tail(mut pipe: impl AsyncRead + Unpin, kept: &mut VecDeque<u8>) -> Result<(), TooMuch> {
    let mut buffer = vec![0; 4 << 10];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        kept.extend(&buffer[..length]);
        kept.drain(..kept.len().saturating_sub(TAIL_BYTES));
    }
    Ok(())
}

/// Writes as much as the program reads: it need not want to know its input.
async fn write_all(mut pipe: impl AsyncWrite + Unpin, bytes: &[u8]) -> Result<(), TooMuch> {
    let _ = pipe.write_all(bytes).await;
    Ok(())
}

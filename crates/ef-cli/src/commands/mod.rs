//! The commands, one file each: its arguments, then what it does.

pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod gate;
pub(crate) mod init;
pub(crate) mod judge;
mod judge_import;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod otel_init;
pub(crate) mod plugins;
pub(crate) mod replay;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod tracestore;
pub(crate) mod verify;

use ef_plugin::Registry;

use std::time::Duration;

use crate::cli::Command;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Exit, cli};

/// Does what a command says. `own` has the evaluators and judges that are not built in but part of this program.
pub(crate) fn execute(command: cli::Command, own: Registry) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::execute(&args),
        Command::Run(args) => block_on(|session| run::execute(args, own, session)),
        Command::Resume(args) => block_on(|session| resume::execute(args, own, session)),
        Command::Replay(args) => block_on(|session| replay::execute(args, own, session)),
        Command::Runs(args) => block_on(|_| runs::execute(args)),
        Command::Show(args) => block_on(|_| show::execute(args)),
        Command::Diff(args) => block_on(|_| diff::execute(args)),
        Command::Gate(args) => block_on(|_| gate::execute(args)),
        Command::Verify(args) => block_on(|_| verify::execute(args)),
        Command::Judge(args) => block_on(|session| judge::execute(args, own, session)),
        Command::Plugins(args) => block_on(|_| plugins::execute(args, own)),
        Command::Schema(args) => schema::execute(&args),
        Command::Migrate(args) => migrate::execute(&args),
        Command::Tracestore(args) => block_on(|_| tracestore::execute(args)),
        Command::OtelInit(args) => otel_init::execute(&args),
        Command::Completions(args) => completions::execute(&args),
        Command::Man(args) => man::execute(&args),
    }
}

/// How long whatever is still going on at the end is waited for.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// Does what a command says, as part of a session. How it failed is told before the session ends, which may take a while.
fn block_on<C>(command: impl FnOnce(Session) -> C) -> Result<Exit, Failure>
where
    C: Future<Output = Result<Exit, Failure>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("the threads that ef needs cannot be started: {}", error.kind())))?;
    let session = Session::start();
    // On a worker thread, what the command starts need not be handed over to one.
    let ended = runtime
        .block_on(runtime.spawn(command(session.clone())))
        .unwrap_or_else(|_panic| Err(Failure::usage("ef cannot go on: a defect, told above")));
    let exit = ended.unwrap_or_else(Failure::report);
    // What was dropped may have programs to end, and a dataset on a pipe may block its reader for ever.
    runtime.shutdown_timeout(LAST_MOMENT);
    session.shut_down();
    Ok(exit)
}

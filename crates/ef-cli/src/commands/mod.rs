//! The commands, one file each: its arguments, then what it does.

pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod gate;
pub(crate) mod init;
pub(crate) mod judge;
mod judge_import;
pub(crate) mod man;
pub(crate) mod migrate;
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
use crate::{Exit, cli};

/// Does what a command says. `own` has the evaluators and judges that are not built in but part of this program.
pub(crate) fn execute(command: cli::Command, own: Registry) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::execute(&args),
        Command::Run(args) => block_on(run::execute(args, own)),
        Command::Resume(args) => block_on(resume::execute(args, own)),
        Command::Replay(args) => block_on(replay::execute(args, own)),
        Command::Runs(args) => block_on(runs::execute(args)),
        Command::Show(args) => block_on(show::execute(args)),
        Command::Diff(args) => block_on(diff::execute(args)),
        Command::Gate(args) => block_on(gate::execute(args)),
        Command::Verify(args) => block_on(verify::execute(args)),
        Command::Judge(args) => block_on(judge::execute(args, own)),
        Command::Plugins(args) => block_on(plugins::execute(args, own)),
        Command::Schema(args) => schema::execute(&args),
        Command::Migrate(args) => migrate::execute(&args),
        Command::Tracestore(args) => block_on(tracestore::execute(args)),
        Command::Completions(args) => completions::execute(&args),
        Command::Man(args) => man::execute(&args),
    }
}

/// How long whatever is still going on at the end is waited for.
const LAST_MOMENT: Duration = Duration::from_millis(250);

fn block_on(command: impl Future<Output = Result<Exit, Failure>> + Send + 'static) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("the threads that ef needs cannot be started: {}", error.kind())))?;
    // On a worker thread, what the command starts need not be handed over to one.
    let ended = runtime
        .block_on(runtime.spawn(command))
        .unwrap_or_else(|_panic| Err(Failure::usage("ef cannot go on: a defect, told above")));
    // What was dropped may have programs to end, and a dataset on a pipe may block its reader for ever.
    runtime.shutdown_timeout(LAST_MOMENT);
    ended
}

//! `ef plugins`: which plugins there are, and whether they are what they were.

mod list;
mod lock;
mod new;
mod test;

use ef_plugin::Registry;

use crate::Exit;
use crate::compose::Parts;
use crate::failure::Failure;

/// List, lock, begin and test plugins
///
/// Plugins are evaluators and judges that are not built in: programs that ef.toml or a manifest in the user's data folder
/// names, and Python packages. docs/plugins.md tells how they are found and how one is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Lock(lock::Args),
    New(new::Args),
    Test(test::Args),
}

pub(crate) async fn execute(args: Args, own: Registry) -> Result<Exit, Failure> {
    if let Command::New(args) = &args.command {
        return new::execute(args);
    }
    let mut parts = Parts::gather(own, None, false)?;
    let ended = match args.command {
        Command::List(args) => list::execute(&args, &mut parts).await,
        Command::Lock(args) => lock::execute(&args, &mut parts).await,
        Command::Test(args) => test::execute(&args, &mut parts).await,
        Command::New(_) => Ok(Exit::Done),
    };
    parts.plugins.shut_down().await;
    ended
}

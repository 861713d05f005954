//! `ef schema`: prints JSON Schemas.

use clap::ValueEnum;

use crate::Exit;
use crate::failure::Failure;
use crate::output;

/// Print the JSON Schema of a spec, of a dataset row, or of a result
///
/// The schemas are of draft 2020-12.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    /// An EvalSpec
    Spec,
    /// A dataset row, where no columns are mapped
    Item,
    /// The result of a run
    Run,
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    let schema = match args.of {
        Of::Spec => ef_spec::schema::spec(),
        Of::Item => ef_spec::schema::item(),
        Of::Run => ef_spec::schema::run(),
    };
    output::print(&format!("{schema:#}\n"))?;
    Ok(Exit::Done)
}

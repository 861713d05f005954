//! Runs by id, unique prefix, or `latest`.

use ef_model::{RunSummary, TraceStore};

use crate::failure::Failure;

/// How many candidates an ambiguous prefix lists.
const LISTED: u32 = 5;

/// The run that a person means.
pub(crate) async fn resolve(store: &dyn TraceStore, reference: &str) -> Result<RunSummary, Failure> {
    if reference == "latest" {
        let mut runs = store.runs("", 1).await?;
        return runs.pop().ok_or_else(|| Failure::usage("there are no runs yet").hint("start one with `ef run`"));
    }
    let mut runs = store.runs(reference, LISTED + 1).await?;
    if let Some(exact) = runs.iter().position(|run| run.head.run_id.as_str() == reference) {
        return Ok(runs.swap_remove(exact));
    }
    // The run of exactly this id may be older than the listed ones that it is a prefix of.
    if let Ok(id) = reference.parse()
        && let Some(exact) = store.run(&id).await?
    {
        return Ok(exact);
    }
    match runs.len() {
        0 => Err(Failure::usage(format!("no run has an id that begins with {reference:?}"))
            .hint("`ef runs` lists the runs; `latest` is the last one begun")),
        1 => Ok(runs.swap_remove(0)),
        _ => {
            let more = if runs.len() > LISTED as usize { ", …" } else { "" };
            let ids: Vec<_> = runs.iter().take(LISTED as usize).map(|run| run.head.run_id.as_str()).collect();
            Err(Failure::usage(format!("several runs have an id that begins with {reference:?}"))
                .hint(format!("give more of it: {}{more}", ids.join(", "))))
        }
    }
}

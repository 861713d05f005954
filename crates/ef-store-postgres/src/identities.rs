//! The evaluators and judges met so far while reading, shared by all records that name them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ef_model::{Identity, JudgeIdentity, StoreError, StoredRecord};
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use crate::fault::Refusal;
use crate::store::PostgresStore;
use crate::trace_row::TraceRow;

/// Evaluators and judges by their row ids.
#[derive(Default)]
pub(crate) struct Identities {
    evaluators: HashMap<i64, Arc<Identity>>,
    judges: HashMap<i64, Arc<JudgeIdentity>>,
}

impl Identities {
    /// Makes sure that those which a record names are known.
    pub(crate) async fn learn(
        &mut self,
        store: &PostgresStore,
        connection: &mut PgConnection,
        trace: &TraceRow,
    ) -> Result<(), Refusal> {
        if let Entry::Vacant(unknown) = self.evaluators.entry(trace.evaluator) {
            let evaluator = component(store, connection, *unknown.key()).await?;
            unknown.insert(Arc::new(evaluator));
        }
        let unknown: BTreeSet<i64> = trace.judges().filter(|judge| !self.judges.contains_key(judge)).collect();
        for judge in unknown {
            self.judges.insert(judge, Arc::new(component(store, connection, judge).await?));
        }
        Ok(())
    }

    /// The record of a row whose evaluator and judges are known.
    pub(crate) fn unpack(&self, store: &PostgresStore, trace: TraceRow) -> Result<StoredRecord, StoreError> {
        trace.unpack(&self.evaluators, &self.judges).map_err(|reason| store.damaged(reason))
    }
}

async fn component<T: DeserializeOwned>(
    store: &PostgresStore,
    connection: &mut PgConnection,
    id: i64,
) -> Result<T, Refusal> {
    let identity: Option<String> =
        sqlx::query_scalar("SELECT identity FROM components WHERE id = $1").bind(id).fetch_optional(connection).await?;
    let identity = identity.ok_or_else(|| store.damaged("a record names an evaluator or judge that is not there"))?;
    serde_json::from_str(&identity)
        .map_err(|_| store.damaged("an evaluator's or judge's identity cannot be read").into())
}

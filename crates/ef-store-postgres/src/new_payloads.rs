//! The payloads that come with a batch, of which those are stored that are not there yet.

use std::collections::{BTreeMap, HashSet};

use ef_model::{Digest, Payload, TaskCommit};
use sqlx::PgConnection;

/// Bytes of payloads after which a statement ends: the server has each several times in memory.
const STATEMENT_BYTES: usize = 8 << 20;

/// From this size on it is cheaper to ask whether a payload is there than to send it in vain.
const WORTH_ASKING: usize = 1 << 10;

/// A batch's payloads, each once, in the order of their digests: as everybody adds them in that order, two who add the same
/// ones wait for one another in one direction only.
pub(crate) struct NewPayloads(Vec<Place>);

/// Where in the batch a payload is.
struct Place {
    digest: Digest,
    commit: usize,
    payload: usize,
}

impl NewPayloads {
    pub(crate) fn of(batch: &[TaskCommit]) -> Self {
        let mut places = BTreeMap::new();
        for (commit, payloads) in batch.iter().map(TaskCommit::payloads).enumerate() {
            for (payload, digest) in payloads.iter().map(Payload::digest).enumerate() {
                places.entry(digest).or_insert(Place { digest, commit, payload });
            }
        }
        Self(places.into_values().collect())
    }

    /// Stores those that are not there yet. The batch is the one that they were taken from.
    pub(crate) async fn insert(&self, batch: &[TaskCommit], connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let payloads: Vec<&Payload> =
            self.0.iter().map(|place| &batch[place.commit].payloads()[place.payload]).collect();
        let large = payloads.iter().filter(|payload| payload.size() >= WORTH_ASKING).map(|payload| payload.digest());
        let there = stored(large.collect(), connection).await?;
        let mut statement = Statement::default();
        for (place, payload) in self.0.iter().zip(payloads) {
            if there.contains(&place.digest) {
                continue;
            }
            statement.add(place.digest, payload.expose());
            if statement.bytes >= STATEMENT_BYTES {
                std::mem::take(&mut statement).run(connection).await?;
            }
        }
        statement.run(connection).await
    }
}

/// Which of these payloads are there.
async fn stored(digests: Vec<Digest>, connection: &mut PgConnection) -> Result<HashSet<Digest>, sqlx::Error> {
    if digests.is_empty() {
        return Ok(HashSet::new());
    }
    let digests: Vec<[u8; 32]> = digests.iter().map(|digest| *digest.as_bytes()).collect();
    let there: Vec<Vec<u8>> = sqlx::query_scalar("SELECT sha256 FROM payloads WHERE sha256 = ANY($1)")
        .bind(digests)
        .fetch_all(connection)
        .await?;
    Ok(there.into_iter().filter_map(|digest| digest.try_into().ok()).map(Digest::from_bytes).collect())
}

/// The payloads of one statement.
#[derive(Default)]
struct Statement<'p> {
    digests: Vec<[u8; 32]>,
    contents: Vec<&'p str>,
    bytes: usize,
}

impl<'p> Statement<'p> {
    fn add(&mut self, digest: Digest, content: &'p str) {
        self.digests.push(*digest.as_bytes());
        self.contents.push(content);
        self.bytes += content.len();
    }

    async fn run(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.digests.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO payloads (sha256, content) SELECT * FROM unnest($1::bytea[], $2::text[])
             ON CONFLICT (sha256) DO NOTHING",
        )
        .bind(self.digests)
        .bind(self.contents)
        .execute(connection)
        .await
        .map(drop)
    }
}

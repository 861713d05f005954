//! Trace stores by their URIs.

mod argument;
mod hints;
mod places;

use std::sync::Arc;

use ef_model::{Environment, StoreAdmin, StoreError, TraceStore};

use crate::compose;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) use argument::argument;
pub(crate) use hints::hint;
use places::Place;

/// The store that is used where none is named.
pub(crate) const DEFAULT: &str = "sqlite://";

/// The argument that names a store.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StoreArgs {
    /// The trace store, such as sqlite://PATH; bare sqlite:// is ./runs/runs.db
    #[arg(long, alias = "trace-store", value_name = "URI")]
    pub(crate) store: Option<String>,
}

impl StoreArgs {
    /// The URI, as it was written.
    pub(crate) fn uri(&self) -> &str {
        self.store.as_deref().unwrap_or(DEFAULT)
    }

    /// Where it leads to.
    pub(crate) fn location(&self) -> Result<Location, Failure> {
        Location::parse(self.uri())
    }

    /// Opens the store that is there.
    pub(crate) async fn open(&self) -> Result<Arc<dyn TraceStore>, Failure> {
        self.location()?.open().await
    }
}

/// Where a URI leads to.
pub(crate) struct Location {
    /// The URI without a password.
    shown: String,
    place: Arc<dyn Place>,
}

impl Location {
    /// Reads a URI. Nothing is opened.
    pub(crate) fn parse(uri: &str) -> Result<Self, Failure> {
        Self::parse_with(uri, &compose::environment())
    }

    fn parse_with(uri: &str, environment: &Environment) -> Result<Self, Failure> {
        let place = places::of(uri, environment)?;
        Ok(Self { shown: ef_spec::without_password(uri), place })
    }

    /// The URI without a password.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Opens the store that is there.
    pub(crate) async fn open(&self) -> Result<Arc<dyn TraceStore>, Failure> {
        self.place.check_presence()?;
        self.place.open().await.map_err(|error| self.failed(error))
    }

    /// The same, for a run that the session tells of.
    pub(crate) async fn open_in(&self, session: &Session) -> Result<Arc<dyn TraceStore>, Failure> {
        Ok(session.observe(self.open().await?, self.place.backend()))
    }

    /// The same, and makes the store where there is none and a run may make one.
    pub(crate) async fn open_or_create_in(&self, session: &Session) -> Result<Arc<dyn TraceStore>, Failure> {
        if self.place.is_made_by_a_run() {
            self.init().await?;
        }
        self.open_in(session).await
    }

    /// Tells the log which store is open.
    pub(crate) fn log_opened(&self) {
        // What opens has exactly the version that this build works with.
        let schema_version = self.admin().supported_version();
        tracing::info!(store = %self.shown, backend = self.place.backend(), schema_version, "trace store opened");
    }

    /// Makes the store where there is none.
    pub(crate) async fn init(&self) -> Result<(), Failure> {
        self.admin().init().await.map_err(|error| self.failed(error))
    }

    /// Opens the store that an export goes to, and makes it where that does not change anything of others'.
    pub(crate) async fn open_for_export(&self) -> Result<Arc<dyn TraceStore>, Failure> {
        if self.place.is_made_by_an_export() {
            self.init().await?;
        }
        self.open().await
    }

    /// Looks after the store as a whole.
    pub(crate) fn admin(&self) -> Box<dyn StoreAdmin> {
        self.place.admin()
    }

    /// What went wrong with the store, with what to do about it at this URI.
    pub(crate) fn failed(&self, error: StoreError) -> Failure {
        match hints::of_location(&error, &self.shown) {
            Some(hint) => Failure::from(error).hint(hint),
            None => error.into(),
        }
    }

    /// The same, where the store has to be there already.
    pub(crate) fn check_presence(&self) -> Result<(), Failure> {
        self.place.check_presence()
    }
}

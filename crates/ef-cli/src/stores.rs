//! Stores by the schemes of their URIs.

use ef_store_sqlite::SqliteStore;

use crate::Exit;
use crate::failure::Failure;

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
    /// Opens the store that is there.
    pub(crate) async fn open(&self) -> Result<SqliteStore, Failure> {
        let uri = self.store.as_deref().unwrap_or(DEFAULT);
        let path = path_of(uri)?;
        if !path.exists() {
            let message = format!("there is no trace store at sqlite://{}", path.display());
            let hint = "`ef run` makes it, and so does `ef tracestore init`; --store names another";
            return Err(Failure::new(Exit::Store, message).hint(hint));
        }
        Ok(SqliteStore::open(path).await?)
    }
}

/// Opens the store of this URI, and makes it where there is none.
pub(crate) async fn open_or_create(uri: &str) -> Result<SqliteStore, Failure> {
    Ok(SqliteStore::open_or_create(path_of(uri)?).await?)
}

/// What a next command needs to find the same store: nothing for the one that is used where none is named. The URI is
/// as it was written: a `${VAR}` in it is for the shell to fill in, and its value is not shown.
pub(crate) fn argument(uri: &str) -> String {
    if ef_store_sqlite::path_of(uri) == ef_store_sqlite::path_of(DEFAULT) {
        return String::new();
    }
    let plain = |c: char| c.is_alphanumeric() || "/.:_-+@%,".contains(c);
    match uri.chars().all(plain) {
        true => format!(" --store {uri}"),
        false if uri.chars().all(|c| plain(c) || "${}".contains(c)) => format!(" --store \"{uri}\""),
        false => format!(" --store '{}'", uri.replace('\'', r"'\''")),
    }
}

/// The file that a URI names.
pub(crate) fn path_of(uri: &str) -> Result<std::path::PathBuf, Failure> {
    if uri == "sqlite://:memory:" {
        let message = "a trace store in memory keeps nothing";
        return Err(Failure::usage(message).hint("name a file: sqlite://PATH"));
    }
    ef_store_sqlite::path_of(uri).ok_or_else(|| {
        // The rest of the URI may hold a password.
        let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
        let message = match uri.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, _)) => format!("no trace store has the scheme {scheme}://"),
            None => "the URI of the trace store has no scheme".to_owned(),
        };
        Failure::usage(message).hint("name a file: sqlite://PATH")
    })
}

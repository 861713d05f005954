//! The kinds of stores that there are, by the schemes of their URIs. This is the one place that knows them.

use std::path::PathBuf;
use std::sync::Arc;

use ef_model::{BoxFuture, Environment, StoreAdmin, StoreError, TraceStore};
use ef_store_sqlite::{SqliteAdmin, SqliteStore};

use crate::Exit;
use crate::failure::Failure;

/// Where a store is, or may be made.
pub(super) trait Place: Send + Sync {
    /// The kind of stores, as metrics name it.
    fn backend(&self) -> &'static str;

    /// Opens the store that is there.
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>>;

    /// Looks after it as a whole.
    fn admin(&self) -> Box<dyn StoreAdmin>;

    /// Whether `ef run` makes a store there: not where others share it.
    fn is_made_by_a_run(&self) -> bool {
        false
    }

    /// Whether `ef tracestore export` makes a store there: not where it would change a database that others share.
    fn is_made_by_an_export(&self) -> bool {
        true
    }

    /// Refuses what is known to be absent before anything is opened.
    fn check_presence(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A kind of stores.
struct Kind {
    schemes: &'static [&'static str],
    /// How a URI of it looks.
    form: &'static str,
    /// What leads to the place of a URI; absent in a build without this kind.
    place: Option<Lead>,
}

/// Leads from a URI to its place.
type Lead = fn(&str, &Environment) -> Result<Arc<dyn Place>, Failure>;

const KINDS: [Kind; 3] = [
    Kind { schemes: &["sqlite"], form: "sqlite://PATH", place: Some(file) },
    Kind {
        schemes: &["postgres", "postgresql"],
        form: "postgres://HOST/DATABASE",
        #[cfg(feature = "postgres")]
        place: Some(database),
        #[cfg(not(feature = "postgres"))]
        place: None,
    },
    Kind {
        schemes: &["parquet", "s3", "gs", "az"],
        form: "parquet://FOLDER or s3://BUCKET/PREFIX?format=parquet",
        #[cfg(feature = "parquet")]
        place: Some(archive),
        #[cfg(not(feature = "parquet"))]
        place: None,
    },
];

/// The place that a URI leads to.
pub(super) fn of(uri: &str, environment: &Environment) -> Result<Arc<dyn Place>, Failure> {
    // The rest of the URI may hold a password.
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let Some((scheme, _)) = uri.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err(Failure::usage("the URI of the trace store has no scheme").hint(known()));
    };
    match KINDS.iter().find(|kind| kind.schemes.contains(&scheme)) {
        None => Err(Failure::usage(format!("no trace store has the scheme {scheme}://")).hint(known())),
        Some(Kind { place: None, .. }) => {
            Err(Failure::usage(format!("this ef was built without trace stores of the scheme {scheme}://"))
                .hint(known()))
        }
        Some(Kind { place: Some(place), .. }) => place(uri, environment),
    }
}

/// What URIs may be named.
fn known() -> String {
    let forms: Vec<_> = KINDS.iter().filter(|kind| kind.place.is_some()).map(|kind| kind.form).collect();
    format!("name a store: {}", forms.join(", "))
}

/// A store in one file.
struct File(PathBuf);

fn file(uri: &str, _: &Environment) -> Result<Arc<dyn Place>, Failure> {
    if uri == "sqlite://:memory:" {
        let message = "a trace store in memory keeps nothing";
        return Err(Failure::usage(message).hint("name a file: sqlite://PATH"));
    }
    let path = ef_store_sqlite::path_of(uri).expect("a URI of the scheme sqlite names a file");
    Ok(Arc::new(File(path)))
}

impl Place for File {
    fn backend(&self) -> &'static str {
        "sqlite"
    }

    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        Box::pin(async { Ok(Arc::new(SqliteStore::open(&self.0).await?) as Arc<dyn TraceStore>) })
    }

    fn admin(&self) -> Box<dyn StoreAdmin> {
        Box::new(SqliteAdmin::new(&self.0))
    }

    fn is_made_by_a_run(&self) -> bool {
        true
    }

    fn check_presence(&self) -> Result<(), Failure> {
        if self.0.exists() {
            return Ok(());
        }
        // A path has no password; what was meant for another kind of store may.
        let uri = ef_spec::without_password(&format!("sqlite://{}", self.0.display()));
        let message = format!("there is no trace store at {uri}");
        let hint = "`ef run` makes it, and so does `ef tracestore init`; --store names another";
        Err(Failure::new(Exit::Store, message).hint(hint))
    }
}

/// A store in a database that others share.
#[cfg(feature = "postgres")]
struct Database {
    uri: ef_model::Secret,
    environment: Environment,
}

#[cfg(feature = "postgres")]
fn database(uri: &str, environment: &Environment) -> Result<Arc<dyn Place>, Failure> {
    Ok(Arc::new(Database { uri: ef_model::Secret::new(uri.to_owned()), environment: environment.clone() }))
}

#[cfg(feature = "postgres")]
impl Place for Database {
    fn backend(&self) -> &'static str {
        "postgres"
    }

    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        Box::pin(async {
            let store = ef_store_postgres::PostgresStore::open(&self.uri, &self.environment).await?;
            Ok(Arc::new(store) as Arc<dyn TraceStore>)
        })
    }

    fn is_made_by_an_export(&self) -> bool {
        false
    }

    fn admin(&self) -> Box<dyn StoreAdmin> {
        Box::new(ef_store_postgres::PostgresAdmin::new(self.uri.clone(), self.environment.clone()))
    }
}

/// A store of files in a folder or in object storage.
#[cfg(feature = "parquet")]
struct Archive {
    location: ef_store_parquet::Location,
    environment: Environment,
}

#[cfg(feature = "parquet")]
fn archive(uri: &str, environment: &Environment) -> Result<Arc<dyn Place>, Failure> {
    let location = ef_store_parquet::Location::parse(uri)?.expect("a URI of its schemes is one of its own");
    Ok(Arc::new(Archive { location, environment: environment.clone() }))
}

#[cfg(feature = "parquet")]
impl Place for Archive {
    fn backend(&self) -> &'static str {
        "parquet"
    }

    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        Box::pin(async {
            let store = ef_store_parquet::ParquetStore::open(&self.location, &self.environment).await?;
            Ok(Arc::new(store) as Arc<dyn TraceStore>)
        })
    }

    fn admin(&self) -> Box<dyn StoreAdmin> {
        Box::new(ef_store_parquet::ParquetAdmin::new(self.location.clone(), self.environment.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_kinds_have_the_same_scheme_and_each_form_has_one_of_its_own() {
        let mut schemes: Vec<_> = KINDS.iter().flat_map(|kind| kind.schemes).collect();
        schemes.sort_unstable();
        assert!(schemes.windows(2).all(|pair| pair[0] != pair[1]), "{schemes:?}");
        for kind in &KINDS {
            let form = kind.form.split("://").next().unwrap_or_default();
            assert!(kind.schemes.contains(&form), "{}", kind.form);
        }
    }
}

//! Where a store is: what the URI says, what the environment adds, and what libpq takes where neither says anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ef_model::{Environment, Secret, StoreError};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::password_file::{self, Found, Login};
use crate::uri::{UriParts, encode};

/// The Postgres schema that the tables are in, where the URI names no other.
pub const DEFAULT_SCHEMA: &str = "eval_fabric";

/// How long connecting may take where nothing says how long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server's socket may be, as its packages have it.
const SOCKET_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/private/tmp", "/tmp"];

/// A store's place, and how to get there. There is no `Debug`: the options would show the password.
pub(crate) struct Target {
    /// What sqlx needs to connect.
    pub(crate) options: PgConnectOptions,
    /// The schema of the tables: a plain lower-case name.
    pub(crate) schema: String,
    /// The URI without a password, for messages.
    pub(crate) name: String,
    pub(crate) connect_timeout: Duration,
    /// What to know when the password is refused.
    pub(crate) password_note: Option<String>,
}

impl Target {
    /// Finds out where a store is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] with what is wrong with the URI or a variable, without a secret.
    pub(crate) fn new(uri: &Secret, environment: &Environment) -> Result<Self, StoreError> {
        let settings = UriParts::parse(uri.expose()).map(|uri| Settings { uri, environment });
        settings
            .and_then(|settings| settings.target())
            .map_err(|reason| StoreError::Unavailable { store: "postgres://".to_owned(), reason })
    }
}

/// Settings by name: those of the URI come first, then those of the environment.
struct Settings<'s> {
    uri: UriParts,
    environment: &'s Environment,
}

impl Settings<'_> {
    fn variable(&self, variable: &str) -> Option<&str> {
        self.environment.get(variable).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
    }

    fn get(&self, parameter: &str, variable: &str) -> Option<&str> {
        self.uri.get(parameter).or_else(|| self.variable(variable))
    }

    fn number<N: std::str::FromStr>(&self, parameter: &str, variable: &str) -> Result<Option<N>, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("its {parameter} (or {variable}) is not a number"));
        self.get(parameter, variable).map(number).transpose()
    }

    fn target(&self) -> Result<Target, String> {
        let port = self.number("port", "PGPORT")?.unwrap_or(5432);
        let host = self.get("host", "PGHOSTADDR").or_else(|| self.variable("PGHOST"));
        let host = host.map_or_else(|| default_host(port), str::to_owned);
        let options = self.base_options()?;
        let user = match self.get("user", "PGUSER") {
            Some(user) => user.to_owned(),
            None => system_user().ok_or("it names no user, and neither does PGUSER or the system")?,
        };
        let database = self.get("dbname", "PGDATABASE").unwrap_or(&user).to_owned();
        let schema = self.uri.get("schema").unwrap_or(DEFAULT_SCHEMA).to_owned();
        check_schema(&schema)?;
        let login = Login { host: &host, port, database: &database, user: &user };
        let (password, password_note) = self.password(&login);
        let connect_timeout = match self.number("connect_timeout", "PGCONNECT_TIMEOUT")? {
            None | Some(0) => CONNECT_TIMEOUT,
            Some(seconds) => Duration::from_secs(seconds),
        };
        let options = options
            .host(&host)
            .port(port)
            .username(&user)
            .database(&database)
            // Without this, sqlx takes one from the process's environment.
            .password(password.as_ref().map_or("", |password| password.expose()))
            .application_name(self.get("application_name", "PGAPPNAME").unwrap_or("eval-fabric"))
            .disable_statement_logging();
        let options = self.with_tls(options, host.starts_with('/'))?;
        let name = name(&login, &schema);
        Ok(Target { options, schema, name, connect_timeout, password_note })
    }

    /// Options that say nothing but what sqlx cannot be told afterwards: the settings that the server is given with the
    /// login. It reads them from the process's `PGOPTIONS` by itself; what is there already is not given twice.
    fn base_options(&self) -> Result<PgConnectOptions, String> {
        let options = PgConnectOptions::new_without_pgpass();
        let of_environment = self.variable("PGOPTIONS").filter(|wanted| options.get_options() != Some(wanted));
        let extra: Vec<&str> = of_environment.into_iter().chain(self.uri.get("options")).collect();
        if extra.is_empty() {
            return Ok(options);
        }
        // Only a URI takes them as they are. With a password in it, sqlx looks for no password file.
        let uri = format!("postgres://host/?password=none&options={}", encode(&extra.join(" ")));
        uri.parse().map_err(|_| "its options (or PGOPTIONS) cannot be passed on".to_owned())
    }

    /// The password, and what to know where there is none.
    fn password(&self, login: &Login<'_>) -> (Option<Secret>, Option<String>) {
        if let Some(password) = self.get("password", "PGPASSWORD") {
            return (Some(Secret::new(password.to_owned())), None);
        }
        let file = self.get("passfile", "PGPASSFILE").map(PathBuf::from);
        let file = file.or_else(|| self.variable("HOME").map(|home| Path::new(home).join(".pgpass")));
        match file.map(|file| password_file::look_up(&file, login)) {
            Some(Found::Password(password)) => (Some(password), None),
            Some(Found::Ignored(why)) => (None, Some(why)),
            Some(Found::Nothing) | None => {
                (None, Some("no password was given: in the URI, in PGPASSWORD, or in a password file".to_owned()))
            }
        }
    }

    fn with_tls(&self, mut options: PgConnectOptions, is_socket: bool) -> Result<PgConnectOptions, String> {
        let root = self.get("sslrootcert", "PGSSLROOTCERT");
        let is_system = root == Some("system");
        let mode = match self.get("sslmode", "PGSSLMODE") {
            None if is_system => PgSslMode::VerifyFull,
            None | Some("prefer" | "allow") => PgSslMode::Prefer,
            Some("disable") => PgSslMode::Disable,
            // As libpq has it: whoever names a root wants it checked.
            Some("require") if root.is_some() && !is_system => PgSslMode::VerifyCa,
            Some("require") => PgSslMode::Require,
            Some("verify-ca") => PgSslMode::VerifyCa,
            Some("verify-full") => PgSslMode::VerifyFull,
            Some(_) => {
                return Err(
                    "its sslmode (or PGSSLMODE) is none of disable, prefer, require, verify-ca, verify-full".to_owned()
                );
            }
        };
        if is_system && !matches!(mode, PgSslMode::VerifyFull) {
            return Err("with sslrootcert=system, sslmode has to be verify-full".to_owned());
        }
        // A socket has no TLS, whatever the mode.
        options = options.ssl_mode(if is_socket { PgSslMode::Disable } else { mode });
        options = match root.filter(|_| !is_system) {
            Some(root) => options.ssl_root_cert(readable(root, "sslrootcert")?),
            // Without this, sqlx takes one from the process's environment.
            None => options.ssl_root_cert_from_pem(Vec::new()),
        };
        match (self.get("sslcert", "PGSSLCERT"), self.get("sslkey", "PGSSLKEY")) {
            (None, None) => Ok(options),
            (Some(certificate), Some(key)) => {
                Ok(options.ssl_client_cert(readable(certificate, "sslcert")?).ssl_client_key(readable(key, "sslkey")?))
            }
            _ => Err("of sslcert and sslkey only one is given, and each needs the other".to_owned()),
        }
    }
}

/// A file that is there.
fn readable<'p>(path: &'p str, what: &str) -> Result<&'p str, String> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(path),
        Err(error) => Err(format!("the file of its {what} cannot be read: {path}: {}", error.kind())),
    }
}

/// The name of whoever runs this. Where a user has none, sqlx would log in as `anonymous`.
fn system_user() -> Option<String> {
    #[cfg(unix)]
    return nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
    #[cfg(not(unix))]
    None
}

fn default_host(port: u16) -> String {
    let has_socket = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_FOLDERS.into_iter().find(has_socket).unwrap_or("localhost").to_owned()
}

/// A schema's name stands in statements, so it is a plain one.
fn check_schema(schema: &str) -> Result<(), String> {
    let is_plain = (1..=63).contains(&schema.len())
        && schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !schema.starts_with(|first: char| first.is_ascii_digit())
        && !schema.starts_with("pg_");
    if is_plain {
        return Ok(());
    }
    Err("the schema in its URI is not a name of up to 63 lower-case letters, digits and '_' that begins with neither a \
         digit nor 'pg_'"
        .to_owned())
}

fn name(login: &Login<'_>, schema: &str) -> String {
    let Login { host, port, database, user } = login;
    let (user, database) = (encode(user), encode(database));
    let place = if host.starts_with('/') {
        format!("postgres://{user}@/{database}?host={host}&port={port}")
    } else if host.contains(':') {
        format!("postgres://{user}@[{host}]:{port}/{database}")
    } else {
        format!("postgres://{user}@{host}:{port}/{database}")
    };
    let separator = if place.contains('?') { '&' } else { '?' };
    if schema == DEFAULT_SCHEMA { place } else { format!("{place}{separator}schema={schema}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn target(uri: &str, variables: &[(&str, &str)]) -> Target {
        Target::new(&Secret::new(uri.to_owned()), &environment(variables)).expect("a place")
    }

    fn refusal(uri: &str, variables: &[(&str, &str)]) -> String {
        let refused = Target::new(&Secret::new(uri.to_owned()), &environment(variables));
        refused.map(|_| ()).expect_err("no place").to_string()
    }

    #[test]
    fn the_uri_comes_before_the_environment_and_that_before_what_is_usual() {
        let all = [("PGHOST", "eh"), ("PGPORT", "1"), ("PGUSER", "eu"), ("PGDATABASE", "ed"), ("PGPASSWORD", "geheim")];
        assert_eq!(target("postgres://", &all).name, "postgres://eu@eh:1/ed");
        assert_eq!(target("postgres://u@h:2/d", &all).name, "postgres://u@h:2/d");
        assert_eq!(target("postgres://u@h", &[]).name, "postgres://u@h:5432/u", "the database of the user's name");
        assert_eq!(target("postgres://h", &[("PGUSER", "a@b")]).name, "postgres://a%40b@h:5432/a%40b");
        assert_eq!(
            target("postgres:///d?host=/run/pg&user=u&schema=team", &[]).name,
            "postgres://u@/d?host=/run/pg&port=5432&schema=team"
        );
        assert_eq!(target("postgres://u@[::1]/d", &[]).name, "postgres://u@[::1]:5432/d");
        let named = target("postgres://u@h/d?application_name=ci&connect_timeout=3", &[("PGAPPNAME", "x")]);
        assert_eq!(named.options.get_application_name(), Some("ci"));
        assert_eq!(named.connect_timeout, Duration::from_secs(3));
        assert_eq!(target("postgres://u@h", &[]).options.get_application_name(), Some("eval-fabric"));
    }

    #[cfg(unix)]
    #[test]
    fn where_nobody_names_a_user_it_is_the_one_of_the_system() {
        let id = std::process::Command::new("id").arg("-un").output().expect("every Unix has it");
        let user = String::from_utf8(id.stdout).expect("text");
        let place = format!("postgres://{0}@h:5432/{0}", encode(user.trim()));
        assert_eq!(target("postgres://h", &[]).name, place);
    }

    #[test]
    fn settings_for_the_server_are_passed_on_once() {
        let options =
            |uri: &str, variables: &[(&str, &str)]| target(uri, variables).options.get_options().map(str::to_owned);
        assert_eq!(options("postgres://u@h", &[]), None);
        assert_eq!(options("postgres://u@h", &[("PGOPTIONS", "-c geqo=off")]).as_deref(), Some("-c geqo=off"));
        assert_eq!(
            options("postgres://u@h?options=-c%20jit%3Doff", &[("PGOPTIONS", "-c geqo=off")]).as_deref(),
            Some("-c geqo=off -c jit=off")
        );
    }

    #[test]
    fn tls_is_what_was_asked_for_and_never_less() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("ca.pem");
        std::fs::write(&root, "").expect("written");
        let root = root.display();
        let mode = |parameters: &str, variables: &[(&str, &str)]| {
            format!("{:?}", target(&format!("postgres://u@h/d?{parameters}"), variables).options.get_ssl_mode())
        };
        assert_eq!(mode("", &[]), "Prefer");
        assert_eq!(mode("", &[("PGSSLMODE", "verify-full")]), "VerifyFull");
        assert_eq!(mode("sslmode=verify-ca", &[("PGSSLMODE", "disable")]), "VerifyCa");
        assert_eq!(mode("sslmode=require", &[]), "Require");
        assert_eq!(mode(&format!("sslmode=require&sslrootcert={root}"), &[]), "VerifyCa");
        assert_eq!(mode("sslrootcert=system", &[]), "VerifyFull");
        assert_eq!(mode("sslmode=require&host=/run", &[]), "Disable", "a socket");
        for (parameters, word) in [
            ("sslmode=always", "verify-full"),
            ("sslmode=verify-ca&sslrootcert=system", "verify-full"),
            ("sslrootcert=/absent/ca.pem", "/absent/ca.pem"),
            ("sslcert=/absent/c.pem", "sslkey"),
        ] {
            let refusal = refusal(&format!("postgres://u:geheim@h/d?{parameters}"), &[]);
            assert!(refusal.contains(word) && !refusal.contains("geheim"), "{refusal}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_a_secret() {
        for (uri, variables) in [
            ("postgres://u:geheim@h:port/d", [].as_slice()),
            ("postgres://u:geheim@h/d", &[("PGCONNECT_TIMEOUT", "soon")]),
            ("postgres://u:geheim@h/d", &[("PGPORT", "99999999")]),
            ("postgres://u:geheim@h:1/d?schema=Robert'); DROP", &[]),
            ("postgres://u:geheim@h:1/d?schema=pg_catalog", &[]),
        ] {
            let refusal = refusal(uri, variables);
            assert!(!refusal.contains("geheim"), "{refusal}");
        }
    }
}

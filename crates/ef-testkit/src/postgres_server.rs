//! Private Postgres servers to test against: made of whatever `initdb` the machine has, in a temporary folder, gone when
//! the test is, in whatever way it ends.
//!
//! A test that needs one calls [`PostgresServer::start`] and returns where that gives nothing. Where a server is a must, as
//! in CI, the environment variable `EF_REQUIRE_POSTGRES` is set to `1`, and what would be skipped fails.

mod programs;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates;
use programs::Programs;

/// The environment variable that makes a missing server a failure.
pub const REQUIRE: &str = "EF_REQUIRE_POSTGRES";

/// The password of the user `postgres` over TCP. Over the socket nobody needs one.
pub const PASSWORD: &str = "geheim-2f9c";

/// The host name that the certificate of a server is made for. It listens on `127.0.0.1` only.
pub const HOST: &str = "localhost";

const SOCKET_PORT: u16 = 5432;
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a line or for the test's end, whichever comes first; then the server is stopped, and at the test's end its
/// folder removed. `$0` is the folder, the arguments are the server's command line.
const KEEPER: &str = r#"
trap '' INT HUP TERM
"$@" </dev/null >>"$0/log" 2>&1 &
server=$!
keep=
read -r keep
kill -QUIT "$server" 2>/dev/null
wait "$server" 2>/dev/null
[ -n "$keep" ] || rm -rf "$0"
"#;

/// What a server is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Whether it also listens on TCP, at a free port of 127.0.0.1, with passwords.
    pub tcp: bool,
    /// Whether it takes TLS on TCP, and nothing else there.
    pub tls: bool,
    /// Whether what it commits survives a power loss, at the cost of waiting for the disk.
    pub durable: bool,
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// As an administrator does it: connections are told.
    Fast,
    /// As a crash does it: connections are cut, and the next start recovers.
    Immediate,
}

/// A server of its own. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    programs: Programs,
    options: PostgresOptions,
    port: u16,
    running: Mutex<Option<Child>>,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Starts a server, or says on standard error why there is none.
    ///
    /// # Panics
    ///
    /// Where there is none and `EF_REQUIRE_POSTGRES` is `1`.
    #[must_use]
    pub fn start(options: PostgresOptions) -> Option<Self> {
        match Self::try_start(options) {
            Ok(server) => Some(server),
            Err(reason) if std::env::var_os(REQUIRE).is_some_and(|value| value == "1") => {
                panic!("{REQUIRE} is 1, and there is no Postgres server: {reason}")
            }
            Err(reason) => {
                let _ = writeln!(std::io::stderr(), "SKIPPED: there is no Postgres server to test against: {reason}");
                None
            }
        }
    }

    fn try_start(options: PostgresOptions) -> Result<Self, String> {
        let programs = Programs::find()?;
        let folder = tempfile::Builder::new().prefix("ef-pg-").tempdir().map_err(|error| error.to_string())?;
        programs.give(folder.path())?;
        programs.make_data(&folder.path().join("data"))?;
        let mut server = Self {
            folder,
            programs,
            options,
            port: SOCKET_PORT,
            running: Mutex::new(None),
            databases: AtomicU32::new(0),
        };
        server.configure()?;
        for _ in 0..5 {
            if options.tcp || options.tls {
                server.port = free_port()?;
            }
            // The port may be somebody else's by now.
            if server.launch().is_ok() {
                server.psql("postgres", &format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'"))?;
                return Ok(server);
            }
        }
        Err(server.log())
    }

    fn configure(&self) -> Result<(), String> {
        let tcp = if self.options.tls { "hostssl" } else { "host" };
        let access = format!("local all all trust\n{tcp} all all 127.0.0.1/32 scram-sha-256\n");
        let data = self.data();
        let written = fs::write(data.join("pg_hba.conf"), access);
        written.map_err(|error| format!("{}: {error}", data.display()))?;
        if self.options.tls {
            certificates::make(self.folder.path(), &[HOST])?;
            self.programs.give(&self.folder.path().join("server.key"))?;
        }
        Ok(())
    }

    /// Starts the server, and returns once it takes connections.
    fn launch(&self) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg(self.folder.path()).args(self.programs.as_owner("postgres"));
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path()).arg("-p").arg(self.port.to_string());
        let listens = if self.options.tcp || self.options.tls { "127.0.0.1" } else { "" };
        let mut settings = vec![format!("listen_addresses={listens}"), "max_connections=50".to_owned()];
        if !self.options.durable {
            settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        if self.options.tls {
            let file = |name: &str| self.folder.path().join(name).display().to_string();
            settings.push("ssl=on".to_owned());
            settings.push(format!("ssl_cert_file={}", file("server.pem")));
            settings.push(format!("ssl_key_file={}", file("server.key")));
        }
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        let _ = fs::remove_file(self.status_file());
        let keeper = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        *self.running() = Some(keeper.map_err(|error| format!("sh: {error}"))?);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if fs::read_to_string(self.status_file()).is_ok_and(|status| status.lines().nth(7) == Some("ready   ")) {
                return Ok(());
            }
            if self.log().contains("could not create any TCP/IP sockets") {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end(true);
        Err(self.log())
    }

    /// Stops the server. Its data stay.
    ///
    /// # Panics
    ///
    /// When it does not stop within a minute.
    pub fn stop(&self, how: Stop) {
        if how == Stop::Fast {
            let status = fs::read_to_string(self.status_file()).unwrap_or_default();
            let process = status.lines().next().unwrap_or_default().to_owned();
            let told = Command::new("kill").arg("-INT").arg(process).status();
            assert!(told.is_ok_and(|status| status.success()), "the server could not be told to stop");
            let began = Instant::now();
            while self.status_file().exists() {
                assert!(began.elapsed() < PATIENCE, "the server does not stop: {}", self.log());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.end(true);
    }

    /// Starts the server that was stopped.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_again(&self) {
        if let Err(log) = self.launch() {
            panic!("the server does not start again: {log}");
        }
    }

    /// Stops the server and starts it again.
    ///
    /// # Panics
    ///
    /// When it does not stop or start.
    pub fn restart(&self, how: Stop) {
        self.stop(how);
        self.start_again();
    }

    /// Ends the keeper, which ends the server.
    fn end(&self, keep: bool) {
        if let Some(mut keeper) = self.running().take() {
            if let (true, Some(mut input)) = (keep, keeper.stdin.take()) {
                let _ = input.write_all(b"keep\n");
            }
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    /// A new, empty database, and its URI over the socket.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.uri(&name)
    }

    /// The URI of a database over the socket, as the user `postgres`.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={}&user=postgres", self.folder.path().display(), self.port)
    }

    /// The URI of a database over TCP, as the user `postgres` with its password.
    #[must_use]
    pub fn tcp_uri(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port, over TCP and of the socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket. With TLS, `ca.pem` in it is the root of the server's certificate, and `other.pem` another
    /// root.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server has written into its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Has statements carried out by an administrator, and returns what they give: a line a row, values separated by `|`.
    ///
    /// # Panics
    ///
    /// When one of them fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        match self.psql(database, statements) {
            Ok(output) => output,
            Err(error) => panic!("{statements}: {error}"),
        }
    }

    fn psql(&self, database: &str, statements: &str) -> Result<String, String> {
        let mut command = Command::new(self.programs.path("psql"));
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(self.folder.path()).arg("-p").arg(self.port.to_string()).arg("-c").arg(statements);
        programs::output(&mut command)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn status_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// A port that nobody listens on, for now.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| error.to_string())
}

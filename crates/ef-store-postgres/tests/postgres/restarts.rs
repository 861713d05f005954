//! Connections that are lost in the middle of a run: nothing is lost with them, and nothing is there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::{RunStatus, StoreError, TraceStore as _};
use ef_testkit::postgres_server::{PostgresOptions, PostgresServer, Stop};
use ef_testkit::{commit, head, item, result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::place::{append, begun, database, init, new_store, open, rows, server};

/// A server that the test may stop.
fn own_server() -> Option<PostgresServer> {
    PostgresServer::start(PostgresOptions::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_survives_restarts_of_the_server_without_loss_or_duplicates() {
    let Some(server) = own_server() else { return };
    let server = Arc::new(server);
    let uri = new_store(&server).await;
    let (store, run) = begun(&uri, "run").await;
    let restarting = {
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            for how in [Stop::Immediate, Stop::Fast] {
                std::thread::sleep(Duration::from_millis(100));
                server.restart(how);
            }
        })
    };
    let mut row = 1;
    let mut batches_after = 0;
    // Two at a time, as a runner has it.
    while batches_after < 5 {
        let [one, other] = [row..row + 20, row + 20..row + 40];
        futures_util::future::join(append(&store, &run, one), append(&store, &run, other)).await;
        row += 40;
        batches_after += usize::from(restarting.is_finished());
    }
    restarting.await.expect("no panic");
    let expected: Vec<u64> = (1..row).collect();
    assert_eq!(rows(&store, &run).await, expected);
    let digests: Vec<_> = expected.iter().map(|row| item(*row).input.digest()).collect();
    let payloads = store.payloads(&digests).await.expect("readable");
    assert!(payloads.iter().all(Option::is_some));
    store.finish(&result(&head("run", 1), RunStatus::Completed)).await.expect("finished");
}

#[tokio::test]
async fn whatever_was_idle_while_the_server_was_restarted_goes_on() {
    let Some(server) = own_server() else { return };
    let uri = new_store(&server).await;
    let (store, run) = begun(&uri, "run").await;
    append(&store, &run, 1..3).await;
    assert_eq!(rows(&store, &run).await, [1, 2]);
    for how in [Stop::Fast, Stop::Immediate] {
        server.restart(how);
        assert_eq!(rows(&store, &run).await, [1, 2], "reading");
        server.restart(how);
        append(&store, &run, 1..3).await;
        let refused = open(&uri).await.expect("open").resume(&run).await;
        assert!(matches!(refused, Err(StoreError::RunBusy(_))), "the run is still this writer's: {refused:?}");
    }
    server.restart(Stop::Immediate);
    store.finish(&result(&head("run", 1), RunStatus::Aborted)).await.expect("finished");
    server.restart(Stop::Immediate);
    store.begin(&head("next", 2)).await.expect("begun");
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up_after_half_a_minute() {
    let Some(server) = own_server() else { return };
    let uri = new_store(&server).await;
    let (store, run) = begun(&uri, "run").await;
    append(&store, &run, 1..3).await;
    server.stop(Stop::Fast);
    // From here on nothing is to be waited for but time.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let refused = store.append(&run, [commit(3)].into()).await.expect_err("away");
    let waited = began.elapsed();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!((Duration::from_secs(30)..Duration::from_secs(35)).contains(&waited), "after {waited:?}");
    tokio::time::resume();
    server.start_again();
    append(&store, &run, 3..4).await;
    assert_eq!(rows(&store, &run).await, [1, 2, 3], "and comes back when it does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_at_any_moment_lose_nothing_and_double_nothing() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    let name = database(&uri).to_owned();
    let ending = tokio::task::spawn_blocking(move || {
        for pause in (0..12).map(|number| number * 7 % 12) {
            let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
            server.sql("postgres", &end);
            std::thread::sleep(Duration::from_millis(pause));
        }
    });
    let mut row = 1;
    while !ending.is_finished() {
        append(&store, &run, row..row + 30).await;
        row += 30;
    }
    ending.await.expect("no panic");
    assert_eq!(rows(&store, &run).await, (1..row).collect::<Vec<u64>>());
}

/// What lies between a client and the server: it cuts a connection when it has passed on a number of bytes, or keeps the
/// answer to a commit to itself and cuts the connection then.
struct Network {
    address: std::net::SocketAddr,
    /// Commits whose answers are still to be passed on before one is kept back; far away when none is.
    commits: Arc<AtomicUsize>,
    /// Bytes from the client that are still passed on before a cut.
    bytes: Arc<AtomicUsize>,
}

const NEVER: usize = usize::MAX / 2;

impl Network {
    async fn to(server: &PostgresServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let [commits, bytes] = [NEVER, NEVER].map(|number| Arc::new(AtomicUsize::new(number)));
        let network = Self { address, commits: Arc::clone(&commits), bytes: Arc::clone(&bytes) };
        let port = server.port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
                tokio::spawn(pass_on(client, server, Arc::clone(&commits), Arc::clone(&bytes)));
            }
        });
        network
    }

    fn uri(&self, server: &PostgresServer, database: &str) -> String {
        server.tcp_uri(database).replace(&format!("127.0.0.1:{}", server.port()), &self.address.to_string())
            + "?sslmode=disable"
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, commits: Arc<AtomicUsize>, bytes: Arc<AtomicUsize>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_kept = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(read @ 1..) = read else { return };
                let rest = bytes.load(Ordering::Relaxed);
                if read >= rest {
                    bytes.store(NEVER, Ordering::Relaxed);
                    let _ = server.write_all(&from_client[..rest]).await;
                    return;
                }
                bytes.store(rest - read, Ordering::Relaxed);
                if from_client[..read].windows(6).any(|window| window == b"COMMIT") {
                    is_kept = commits.fetch_sub(1, Ordering::Relaxed) == 1;
                }
                if server.write_all(&from_client[..read]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                // It is committed, and nobody hears of it.
                if is_kept || client.write_all(&from_server[..read]).await.is_err() {
                    commits.store(NEVER, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_not_heard_of_is_found_to_have_been_made() {
    let Some(server) = server() else { return };
    let local = new_store(server).await;
    let network = Network::to(server).await;
    let uri = network.uri(server, database(&local));
    let lose_commit = || network.commits.store(1, Ordering::Relaxed);
    let is_lost = || assert!(network.commits.load(Ordering::Relaxed) > 1, "no commit was lost");

    let store = open(&uri).await.expect("the store opens");
    lose_commit();
    store.begin(&head("run", 1)).await.expect("begun once");
    is_lost();
    let run = head("run", 1).run_id;
    let again = store.begin(&head("run", 1)).await;
    assert!(matches!(again, Err(StoreError::RunExists(_))), "{again:?}");

    lose_commit();
    append(&store, &run, 1..4).await;
    is_lost();
    assert_eq!(rows(&store, &run).await, [1, 2, 3]);

    for status in [RunStatus::Aborted, RunStatus::Completed] {
        lose_commit();
        store.finish(&result(&head("run", 1), status)).await.expect("finished once");
        is_lost();
        assert_eq!(store.run(&run).await.expect("readable").expect("there").status, status);
    }
    let again = store.finish(&result(&head("run", 1), RunStatus::Completed)).await;
    assert!(matches!(again, Err(StoreError::RunClosed(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_in_the_middle_of_a_batch_leaves_all_of_it_or_nothing() {
    let Some(server) = server() else { return };
    let uri = server.database();
    init(&uri).await.expect("a store");
    let network = Network::to(server).await;
    let store = open(&network.uri(server, database(&uri))).await.expect("the store opens");
    store.begin(&head("run", 1)).await.expect("begun");
    let run = head("run", 1).run_id;
    let reader = open(&uri).await.expect("another way");
    let mut first = 1;
    for bytes in [1, 50, 300, 1_000, 3_000, 10_000, 20_000, 30_000] {
        network.bytes.store(bytes, Ordering::Relaxed);
        append(&store, &run, first..first + 50).await;
        first += 50;
        assert_eq!(rows(&reader, &run).await, (1..first).collect::<Vec<u64>>(), "after a cut behind {bytes} bytes");
    }
}

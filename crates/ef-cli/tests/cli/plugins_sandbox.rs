//! What a sandboxed plugin may not do.

use crate::folder::Folder;
use crate::plugins::{project, python, run, spec};

/// Whether this kernel can do it; where it cannot, `ef` has to refuse.
fn is_possible(folder: &Folder) -> bool {
    let ended = folder.ef("plugins list --health");
    let is_refused = ended.stdout.contains("this kernel cannot");
    if is_refused {
        assert_eq!(ended.code, Some(5), "{ended}");
        eprintln!("SKIPPED: this kernel cannot restrict a process so; ef refused, as it has to");
    }
    cfg!(target_os = "linux") && !is_refused
}

/// The first judgment of a run.
fn judgment(folder: &Folder, id: &str) -> serde_json::Value {
    folder.records(id)[0]["judgments"][0].clone()
}

#[test]
fn a_judge_that_opens_a_socket_fails_and_the_record_says_why() {
    let Some(free) = project("id: acme.socket", "") else { return };
    run(&free, "free", "").exits(0);
    assert_eq!(judgment(&free, "free")["score"], 1.0);
    let folder = project("id: acme.socket", "sandbox = { network = \"deny\" }").expect("python is there");
    if !is_possible(&folder) {
        return;
    }
    run(&folder, "one", "").exits(0);
    let record = judgment(&folder, "one").to_string();
    assert!(record.contains("permission_denied"), "{record}");
    assert!(record.contains("sandboxed(network=deny)"), "{record}");
}

#[test]
fn a_python_judge_is_restricted_with_all_that_it_starts() {
    let Some((python, _)) = python() else { return };
    let folder = Folder::new();
    let python = python.display().to_string();
    let sandbox = "sandbox = { network = \"deny\", read = [], write = [] }";
    folder.write("ef.toml", format!("python = {python:?}\n[plugins.mine]\npython = \"mine\"\n{sandbox}\n"));
    let code = "import socket, subprocess, sys\nfrom eval_fabric.judges import judge\n\n\n\
                @judge(id=\"acme.direct\", version=\"1\", determinism=\"deterministic\")\n\
                def direct(item, output):\n    socket.create_connection((\"127.0.0.1\", 9))\n    return 1\n\n\n\
                @judge(id=\"acme.child\", version=\"1\", determinism=\"deterministic\")\n\
                def child(item, output):\n    \
                return subprocess.call([sys.executable, \"-c\", \"import socket; socket.socket()\"]) == 0\n";
    folder.write("mine.py", code);
    if !is_possible(&folder) {
        return;
    }
    folder.write("spec.yaml", spec("id: acme.direct"));
    run(&folder, "direct", "").exits(0);
    let record = judgment(&folder, "direct").to_string();
    assert!(
        record.contains("permission_error") && record.contains("sandboxed(network=deny, read=[], write=[])"),
        "{record}"
    );
    folder.write("spec.yaml", spec("id: acme.child"));
    run(&folder, "child", "").exits(0);
    assert_eq!(judgment(&folder, "child")["score"], false, "{}", judgment(&folder, "child"));
}

#[test]
fn a_sandboxed_plugin_reads_and_writes_only_what_it_may() {
    let Some((_, prefix)) = python() else { return };
    let keys = format!("sandbox = {{ read = [\"open\", {:?}], write = [\"out\"] }}", prefix.display().to_string());
    let folder = project("id: acme.same", &keys).expect("python is there");
    for name in ["open", "out", "closed"] {
        std::fs::create_dir(folder.path(name)).expect("a folder");
        folder.write(&format!("{name}/file"), "12345");
    }
    std::os::unix::fs::symlink(folder.path("closed/file"), folder.path("open/link")).expect("a link");
    if !is_possible(&folder) {
        return;
    }
    for (judge, path, allowed) in [
        ("reads", "open/file", true),
        ("reads", "closed/file", false),
        ("reads", "open/link", false),
        ("reads", "open/../closed/file", false),
        ("writes", "out/new", true),
        ("writes", "open/new", false),
        ("writes", "closed/file", false),
        ("reads", "out/file", true),
        ("writes", "/dev/null", true),
    ] {
        let config = format!("id: acme.{judge}, config: {{path: \"{path}\"}}");
        folder.write("spec.yaml", spec(&config));
        let id = format!("{judge}-{}", path.replace(['/', '.'], "-"));
        run(&folder, &id, "--max-items 1").exits(0);
        let record = judgment(&folder, &id).to_string();
        assert_eq!(record.contains("permission_denied"), !allowed, "{judge} {path}: {record}");
    }
    assert_eq!(folder.read("closed/file"), b"12345");
}

#[test]
fn a_sandbox_of_paths_that_are_not_there_is_refused() {
    let Some(folder) = project("id: acme.same", "sandbox = { read = [\"absent\"] }") else { return };
    let ended = run(&folder, "one", "").exits(5);
    assert!(ended.stderr.contains("does not exist") || ended.stderr.contains("this kernel cannot"), "{ended}");
}

#[test]
fn the_launcher_is_for_ef_itself() {
    let folder = Folder::empty();
    for line in ["__sandbox", "__sandbox --help", "__sandbox --", "__sandbox -- /no/such/program"] {
        let ended = folder.ef(line).exits(5);
        assert!(ended.stderr.starts_with("error: ") && ended.stdout.is_empty(), "{ended}");
    }
}

//! Plugins as their user meets them: found, listed, started when they are needed, and named in every record.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::folder::{DATASET, Ended, Folder, assert_seen};
use crate::live::{Live, row};

/// A plugin that speaks the protocol by itself, in a few lines.
pub(crate) const PLUGIN: &str = r#"import json, os, socket, sys

def score(kind, config, item, output):
    if kind == "acme.same":
        return {"score": output["output"] == item.get("reference_output")}
    if kind == "acme.socket":
        socket.socket()
        return {"score": 1}
    if kind == "acme.reads":
        return {"score": len(open(config["path"]).read())}
    if kind == "acme.writes":
        with open(config["path"], "w") as file:
            file.write("x")
        return {"score": 1}

def answer(method, params, made):
    if method == "initialize":
        open("started", "a").write("1\n") if os.environ.get("MARK") else None
        ids = ["acme.same", "acme.socket", "acme.reads", "acme.writes"]
        judges = [{"id": id, "version": "1.0.0", "determinism": "deterministic"} for id in ids]
        return {"protocol_version": 1, "plugin": {"name": "acme", "version": "1"}, "evaluators": [], "judges": judges}
    if method == "create":
        made[params["instance"]] = (params["id"], params.get("config") or {})
        return {}
    if method == "judge":
        return score(*made[params["instance"]], params["item"], params["output"])

made = {}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    try:
        reply["result"] = answer(message["method"], message.get("params") or {}, made)
    except Exception as error:
        code = "permission_denied" if isinstance(error, PermissionError) else "failed"
        reply["error"] = {"code": -32000, "message": repr(error), "data": {"kind": "permanent", "code": code}}
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
"#;

/// The Python of the PATH (not a script in front of it) and the folder that it is installed in; or none, which is said.
pub(crate) fn python() -> Option<(PathBuf, PathBuf)> {
    let told =
        Command::new("python3").args(["-c", "import sys; print(sys.executable); print(sys.base_prefix)"]).output();
    let Some(told) = told.ok().filter(|told| told.status.success()) else {
        eprintln!("SKIPPED: there is no python3 on the PATH, and this test's plugin is written in Python");
        return None;
    };
    let told = String::from_utf8(told.stdout).expect("paths of this machine are text");
    let (program, prefix) = told.trim_end().split_once('\n').expect("two lines");
    Some((program.into(), prefix.into()))
}

/// A folder with a spec whose judge is `judge`, the plugin above as `plugin.py`, and an `ef.toml` that names it.
pub(crate) fn project(judge: &str, keys: &str) -> Option<Folder> {
    let folder = Folder::empty();
    folder.write("dataset.jsonl", DATASET);
    folder.write("plugin.py", PLUGIN);
    folder.write("spec.yaml", spec(judge));
    let (python, _) = python()?;
    folder.write(
        "ef.toml",
        format!("[plugins.acme]\ncommand = [{:?}, \"plugin.py\"]\n{keys}\n", python.display().to_string()),
    );
    Some(folder)
}

pub(crate) fn spec(judge: &str) -> String {
    format!(
        "schema_version: \"1\"\nid: test/plugin\nversion: 1.0.0\nevaluator: {{id: eval_fabric.examples.echo}}\n\
         judges:\n  - {{{judge}, name: right}}\n"
    )
}

/// Runs the project, under an id.
pub(crate) fn run(folder: &Folder, id: &str, more: &str) -> Ended {
    folder.ef(&format!("run spec.yaml --dataset dataset.jsonl --run-id {id} {more}"))
}

/// What the user sees, without what differs from machine to machine.
pub(crate) fn seen(folder: &Folder, text: impl std::fmt::Display) -> String {
    let here = folder.path("").canonicalize().expect("it is there").display().to_string();
    let text = text.to_string().replace(&format!("{here}/"), "");
    let mut lines: Vec<_> = text.lines().map(|line| line.split("  ").collect::<Vec<_>>().join("  ")).collect();
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn a_judge_of_a_plugin_runs_and_every_record_names_its_code() {
    let Some(folder) = project("id: acme.same", "") else { return };
    let result = run(&folder, "one", "--format json").exits(0).json();
    assert_eq!(result["metrics"][0]["value"], 0.75, "{result}");
    let (judge, digest) = (&result["judges"][0], &result["judges"][0]["digest"]);
    assert_eq!((&judge["id"], &judge["version"]), (&json!("acme.same"), &json!("1.0.0")));
    assert_eq!(judge["source"], "ef.toml [plugins.acme]");
    for record in folder.records("one") {
        assert_eq!(&record["judgments"][0]["judge"]["digest"], digest, "{record}");
    }
    // The run goes on where it ended, and can be judged again, because the plugin is what it was.
    run(&folder, "two", "--max-items 2").exits(0);
    let replay = folder.ef("replay one --judges-only --run-id again --format json").exits(0).json();
    assert_eq!(replay["replay"]["judges"][0]["source"].as_str(), replay["source"]["judges"][0]["source"].as_str());
}

#[test]
fn two_runs_that_differ_in_the_plugins_bytes_alone_show_it() {
    let Some(folder) = project("id: acme.same", "") else { return };
    run(&folder, "before", "").exits(0);
    folder.write("plugin.py", format!("{PLUGIN}# the same in other words\n"));
    run(&folder, "after", "").exits(0);
    let digest = |run: &str| {
        let digest = folder.records(run)[0]["judgments"][0]["judge"]["digest"].clone();
        digest.as_str().expect("a digest")[..12].to_owned()
    };
    // They cover this machine's Python too.
    let shown = folder.ef("diff after before --by judges").exits(0).to_string();
    let shown = shown.replace(&digest("before"), "[BEFORE]").replace(&digest("after"), "[AFTER]");
    assert_seen("plugins_diff", shown);
    let changed = folder.ef("diff after before --format json").exits(0).json();
    assert_eq!(changed["judges_that_differ"], json!(["right"]));
    let refused = folder.ef("replay before --judges-only");
    assert!(refused.stdout.contains("sha256") || refused.stderr.contains("sha256"), "{refused}");
}

#[test]
fn nothing_is_started_before_a_spec_names_something_of_it() {
    let Some(folder) = project("id: eval_fabric.exact_match", "") else { return };
    let run = |spec: &str| folder.ef_with(["run", spec, "--dataset", "dataset.jsonl"], "", &[("MARK", "1")]).exits(0);
    run("spec.yaml");
    assert!(!folder.has("started"), "the spec names built-ins alone");
    folder.write("plugin.yaml", spec("id: acme.same"));
    run("plugin.yaml");
    assert!(folder.has("started"), "the spec names its judge");
}

#[test]
fn what_is_declared_is_found_without_asking_any_other_plugin() {
    let Some(folder) = project("id: acme.same", "judges = [\"acme.same\"]") else { return };
    let with_other = String::from_utf8(folder.read("ef.toml")).expect("text")
        + "[plugins.other]\ncommand = [\"/bin/sh\", \"-c\", \"touch asked\"]\n";
    folder.write("ef.toml", with_other);
    run(&folder, "one", "").exits(0);
    assert!(!folder.has("asked"));
    // An id that nobody declares is asked for, and what could not answer is told.
    folder.write("spec.yaml", spec("id: acme.other"));
    let ended = run(&folder, "two", "").exits(5);
    assert!(folder.has("asked"));
    assert!(ended.stderr.contains("there is no judge `acme.other`"), "{ended}");
    assert!(ended.stderr.contains("`other`"), "{ended}");
}

#[test]
fn an_ef_toml_is_found_from_a_folder_below() {
    let Some(folder) = project("id: acme.same", "") else { return };
    std::fs::create_dir_all(folder.path("deep/er")).expect("folders");
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ef"))
        .args(["run", "../../spec.yaml", "--dataset", "../../dataset.jsonl"])
        .env_clear()
        .env("EVAL_FABRIC_LOG_LEVEL", "off")
        .current_dir(folder.path("deep/er"))
        .output()
        .expect("ef can be started");
    Ended::of(&output).exits(0);
}

#[test]
fn a_manifest_in_the_users_folder_counts_in_every_project() {
    let Some(folder) = project("id: acme.same", "") else { return };
    let data = folder.path("data");
    std::fs::create_dir_all(data.join("eval-fabric/plugins")).expect("folders");
    let manifest = String::from_utf8(folder.read("ef.toml")).expect("text").replace("plugin.py", "../../../plugin.py");
    std::fs::remove_file(folder.path("ef.toml")).expect("removed");
    std::fs::write(data.join("eval-fabric/plugins/acme.toml"), &manifest).expect("written");
    let data = data.to_str().expect("text");
    let ef = |line: &str| folder.ef_with(line.split(' '), "", &[("XDG_DATA_HOME", data)]);
    let result = ef("run spec.yaml --dataset dataset.jsonl --format json").exits(0).json();
    assert_eq!(result["judges"][0]["source"], "user manifest acme.toml [plugins.acme]");
    // The same name again is a conflict, which names both.
    folder.write("ef.toml", manifest.replace("../../../plugin.py", "plugin.py"));
    let ended = ef("run spec.yaml --dataset dataset.jsonl").exits(5);
    assert!(ended.stderr.contains("ef.toml") && ended.stderr.contains("acme.toml"), "{ended}");
}

#[test]
fn two_plugins_that_claim_an_id_are_both_named() {
    let Some(folder) = project("id: acme.same", "judges = [\"acme.same\"]") else { return };
    let toml = String::from_utf8(folder.read("ef.toml")).expect("text");
    folder.write("ef.toml", format!("{toml}{}", toml.replace("[plugins.acme]", "[plugins.copy]")));
    let ended = run(&folder, "one", "").exits(5);
    assert!(ended.stderr.contains("`acme`") && ended.stderr.contains("`copy`"), "{ended}");
    let built_in = toml.replace("acme.same", "eval_fabric.exact_match");
    folder.write("ef.toml", built_in);
    folder.write("spec.yaml", spec("id: eval_fabric.exact_match"));
    // A built-in is never replaced; that a plugin claims its id is found out where all are listed.
    run(&folder, "two", "").exits(0);
    let listed = folder.ef("plugins list --health --format json").exits(5).json();
    let row = rows_of(&listed, "acme").into_iter().find(|row| row["ok"] == false).expect("a broken one");
    assert!(row["error"].as_str().is_some_and(|error| !error.is_empty()), "{row}");
}

fn rows_of<'v>(listed: &'v Value, plugin: &str) -> Vec<&'v Value> {
    listed.as_array().expect("a list").iter().filter(|row| row["plugin"] == plugin).collect()
}

#[test]
fn the_list_says_what_there_is_and_where_from() {
    let Some(folder) = project("id: acme.same", "") else { return };
    let listed = folder.ef("plugins list --format json").exits(0).json();
    let rows = rows_of(&listed, "acme");
    assert_eq!(rows.len(), 4, "{listed}");
    let row = rows.iter().find(|row| row["id"] == "acme.same").expect("a row");
    assert_eq!((&row["kind"], &row["version"]), (&json!("judge"), &json!("1.0.0")));
    assert_eq!(row["sha256"].as_str().map(str::len), Some(64));
    assert!(row["from"].as_str().is_some_and(|from| from.ends_with("ef.toml")), "{row}");
    let built_in = listed.as_array().expect("a list").iter().find(|row| row["id"] == "eval_fabric.exact_match");
    assert_eq!(built_in.expect("it is listed")["source"], "builtin");
    let text = folder.ef("plugins list").exits(0).stdout;
    assert!(text.lines().any(|line| line.starts_with("judge") && line.contains("acme.same  ")), "{text}");
}

#[test]
fn health_tells_what_loads_how_fast_and_why_something_does_not() {
    let Some(folder) = project("id: acme.same", "judges = [\"acme.same\", \"acme.gone\"]") else { return };
    folder.write("broken.py", "import json\nimport no_such_module_anywhere\n");
    let toml = String::from_utf8(folder.read("ef.toml")).expect("text");
    let broken = toml.replace("[plugins.acme]", "[plugins.broken]").replace("plugin.py", "broken.py");
    let broken: String = broken.lines().take(2).map(|line| format!("{line}\n")).collect();
    folder.write("ef.toml", format!("{toml}{broken}[plugins.absent]\ncommand = [\"./absent\"]\n"));
    let ended = folder.ef("plugins list --health --format json").exits(5);
    let listed = ended.json();
    let same = rows_of(&listed, "acme").into_iter().find(|row| row["id"] == "acme.same").expect("a row");
    assert_eq!(same["ok"], true, "{same}");
    assert!(same["started_in_ms"].as_f64().is_some_and(|ms| ms > 0.0) && same["made_in_ms"].is_f64(), "{same}");
    let gone = rows_of(&listed, "acme").into_iter().find(|row| row["id"] == "acme.gone").expect("a row");
    assert_eq!(gone["error"], "the judge is declared, and the plugin does not provide it");
    let error = rows_of(&listed, "broken")[0]["error"].as_str().expect("an error");
    assert!(error.contains("ModuleNotFoundError: No module named 'no_such_module_anywhere'"), "{error}");
    let error = rows_of(&listed, "absent")[0]["error"].as_str().expect("an error");
    assert!(error.contains("./absent") && error.contains("there is no such file"), "{error}");
    let text = folder.ef("plugins list --health").exits(5).stdout;
    assert!(text.contains("broken is broken:") && text.contains("ok: started in"), "{text}");
}

#[test]
fn what_is_wrong_with_ef_toml_is_shown_at_its_line() {
    let folder = Folder::new();
    folder.write(
        "ef.toml",
        "pyton = \"python3\"\n[plugins.a]\ncommand = \"./judge --fast\"\nsandbox = { network = \"allow\" }\n",
    );
    let ended = folder.ef("run spec.yaml --dataset dataset.jsonl").exits(2);
    assert_seen("plugins_ef_toml", seen(&folder, &ended));
    folder.write("ef.toml", b"\xff".as_slice());
    folder.ef("plugins list").exits(2);
}

#[test]
fn a_python_object_is_served_as_ef_toml_names_it() {
    let Some((python, _)) = python() else { return };
    let folder = Folder::new();
    folder.write(
        "ef.toml",
        format!("python = {:?}\n[plugins.mine]\npython = \"mine:same\"\n", python.display().to_string()),
    );
    let judge = "from eval_fabric.judges import judge\n\n\n@judge(id=\"acme.py\", version=\"2.0.0\", determinism=\"deterministic\")\n\
                 def same(item, output):\n    return {\"score\": output.output == item.reference_output, \"rationale\": \"read\"}\n";
    folder.write("mine.py", judge);
    folder.write("spec.yaml", spec("id: acme.py"));
    let result = run(&folder, "one", "--format json").exits(0).json();
    assert_eq!(result["metrics"][0]["value"], 0.75, "{result}");
    let judge = &result["judges"][0];
    assert_eq!((&judge["version"], &judge["source"]), (&json!("2.0.0"), &json!("ef.toml [plugins.mine]")));
    folder.write("mine.py", "import no_such_module_anywhere\n");
    let error = folder.ef("plugins list --health --format json").exits(5).json();
    let error = rows_of(&error, "mine")[0]["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("ModuleNotFoundError: No module named 'no_such_module_anywhere'"), "{error}");
    folder.write("ef.toml", "[plugins.mine]\npython = \"mine:same\"\n");
    let ended = run(&folder, "two", "").exits(5);
    assert!(ended.stderr.contains("it is not said which Python runs it"), "{ended}");
}

/// Whether a process of that id is there, and not only waits to be forgotten.
fn is_running(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn a_plugin_ends_with_the_run_however_that_ends() {
    for signal in ["INT", "KILL"] {
        let Some(folder) = project("id: acme.same", "") else { return };
        let marked = PLUGIN.replace("def answer(", "open('pid', 'w').write(str(os.getpid()))\n\ndef answer(");
        folder.write("plugin.py", marked);
        let mut live = Live::start(&folder);
        live.feed(1..=3).expect("it is read");
        live.wait_for_records(3);
        let pid = String::from_utf8(folder.read("pid")).expect("a number");
        assert!(is_running(&pid) || !cfg!(target_os = "linux"));
        live.signal(signal);
        let ended = live.ended();
        assert_eq!(ended.code, (signal == "INT").then_some(130), "{ended}");
        // One that is killed tells its plugins nothing; they see that their input has ended.
        let begun = Instant::now();
        while is_running(&pid) {
            assert!(begun.elapsed() < Duration::from_secs(10), "the plugin is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_run_is_resumed_only_with_the_plugin_that_it_began_with() {
    let Some(folder) = project("id: acme.same", "") else { return };
    let mut live = Live::start(&folder);
    live.feed(1..=3).expect("it is read");
    live.wait_for_records(3);
    live.signal("INT");
    live.ended().exits(130);
    let rows: String = (1..=5).map(row).collect();
    folder.write("rows.jsonl", rows);
    folder.write("plugin.py", format!("{PLUGIN}# changed\n"));
    let ended = folder.ef("resume live --dataset rows.jsonl").exits(5);
    assert!(ended.stderr.contains("the judge right is not what the run began with"), "{ended}");
    folder.write("plugin.py", PLUGIN);
    folder.ef("resume live --dataset rows.jsonl").exits(0);
    assert_eq!(folder.records("live").len(), 5);
}

/// A virtual environment in which a package with a judge is installed.
fn environment_with_package(folder: &Folder, python: &Path) -> String {
    let made = Command::new(python).args(["-m", "venv", "--without-pip"]).arg(folder.path("venv")).status();
    assert!(made.expect("Python starts").success());
    let told = Command::new(folder.path("venv/bin/python"))
        .args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        .output();
    let site = PathBuf::from(String::from_utf8(told.expect("Python starts").stdout).expect("text").trim_end());
    let write = |name: &str, text: &str| {
        let path = site.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    };
    write("acme_judges.py", "def same(item, output):\n    return output.output == item.reference_output\n");
    write("acme_judges-3.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-judges\nVersion: 3.1\n");
    let points = "[eval_fabric.judges]\nacme.installed = acme_judges:same\n";
    write("acme_judges-3.1.dist-info/entry_points.txt", points);
    let record =
        "acme_judges.py,,\nacme_judges-3.1.dist-info/METADATA,,\nacme_judges-3.1.dist-info/entry_points.txt,,\n";
    write("acme_judges-3.1.dist-info/RECORD", record);
    folder.path("venv").display().to_string()
}

#[test]
fn an_entry_point_of_the_active_environment_is_found_and_a_rival_is_named() {
    let Some((python, _)) = python() else { return };
    let folder = Folder::new();
    let active = environment_with_package(&folder, &python);
    let ef = |line: &str| folder.ef_with(line.split(' '), "", &[("VIRTUAL_ENV", &active)]);
    folder.write("spec.yaml", spec("id: acme.installed"));
    let result = ef("run spec.yaml --dataset dataset.jsonl --format json").exits(0).json();
    assert_eq!(result["metrics"][0]["value"], 0.75, "{result}");
    assert_eq!(result["judges"][0]["source"], "python acme-judges 3.1");
    ef("plugins lock").exits(0);
    ef("run spec.yaml --dataset dataset.jsonl --locked").exits(0);
    // Without an environment nobody has it.
    let ended = folder.ef("run spec.yaml --dataset dataset.jsonl").exits(5);
    assert!(ended.stderr.contains("there is no judge `acme.installed`"), "{ended}");
    // What ef.toml declares is taken without asking the others; the list tells of both.
    folder.write("plugin.py", PLUGIN.replace("acme.same", "acme.installed"));
    let command = format!("[{:?}, \"plugin.py\"]", python.display().to_string());
    folder.write("ef.toml", format!("[plugins.mine]\ncommand = {command}\njudges = [\"acme.installed\"]\n"));
    let result = ef("run spec.yaml --dataset dataset.jsonl --format json").exits(0).json();
    assert_eq!(result["judges"][0]["source"], "ef.toml [plugins.mine]");
    let text = ef("plugins list --health").exits(5).stdout;
    let told = text.lines().find(|line| line.contains("claim the id")).expect("a conflict");
    assert!(told.contains("ef.toml [plugins.mine]") && told.contains("python acme-judges 3.1"), "{told}");
    let ended = ef("plugins lock").exits(5);
    assert!(ended.stderr.contains("claim the id `acme.installed`"), "{ended}");
}

#[test]
fn the_contract_is_checked_and_what_breaks_it_is_told() {
    let Some(folder) = project("id: acme.same", "") else { return };
    let ended = folder.ef("plugins test acme.same").exits(0);
    assert!(ended.stdout.starts_with("judge acme.same 1.0.0\n") && ended.stdout.contains("concurrency"), "{ended}");
    let report = folder.ef("plugins test eval_fabric.examples.echo --format json").exits(0).json();
    assert_eq!((&report[0]["kind"], &report[0]["passed"]), (&json!("evaluator"), &json!(true)));
    folder.ef("plugins test acme.sam").exits(5);
    folder.write("config.json", "[1]");
    folder.ef("plugins test acme.same --config config.json").exits(2);
    // It promises the same every time, and gives the time.
    folder.write(
        "plugin.py",
        PLUGIN.replace(
            "output[\"output\"] == item.get(\"reference_output\")",
            "__import__(\"time\").time_ns() % 1000003",
        ),
    );
    let ended = folder.ef("plugins test acme.same").exits(5);
    assert!(ended.stdout.contains("FAILED   determinism"), "{ended}");
}

/// The crate that builds an `ef` of its own.
#[path = "../../../../fixtures/plugins/rust-in-process/src/main.rs"]
#[allow(dead_code, reason = "its `main` is that of another program")]
mod own_ef;

#[test]
fn a_judge_that_is_part_of_the_program_is_registered_in_code() {
    use ef_model::JudgeFactory as _;
    let mut registry = ef_plugin::Registry::new();
    let factory = Arc::new(own_ef::NotEmpty::new());
    registry.register_judge(factory.clone()).expect("its schema is right");
    registry.register_judge(factory.clone()).expect("the same again is nothing");
    assert_eq!(factory.identity().id.as_str(), "acme.not_empty");
    let subject = ef_plugin::contract::Subject::Judge(factory);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let report =
        runtime.block_on(ef_plugin::contract::check(&subject, &ef_plugin::contract::ContractOptions::default()));
    assert!(report.passed(), "{report}");
}

#[test]
fn a_new_plugin_is_whole_and_overwrites_nothing() {
    let folder = Folder::empty();
    folder.ef("plugins new acme-polite --lang python").exits(0);
    for file in ["README.md", "ef.toml", "pyproject.toml", "acme_polite.py", "spec.yaml", "dataset.jsonl"] {
        assert!(folder.has(&format!("acme-polite/{file}")), "{file}");
    }
    let ended = folder.ef("plugins new acme-polite --lang python").exits(2);
    assert!(ended.stderr.contains("nothing was written"), "{ended}");
    folder.ef("plugins new ../elsewhere --lang node").exits(2);
    folder.ef("plugins new x-1 --lang cobol").exits(2);
    for lang in ["rust", "node"] {
        folder.ef(&format!("plugins new my-{lang} --lang {lang} --dir {lang}")).exits(0);
        assert!(folder.has(&format!("{lang}/ef.toml")));
    }
}

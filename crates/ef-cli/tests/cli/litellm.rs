//! An implementation of both APIs by others: the proxy of LiteLLM, with a model that is mocked.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;

const KEY: &str = "sk-litellm-canary-7d1f";
/// How long the proxy may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const CONFIG: &str = "model_list:
  - model_name: mocked
    litellm_params: {model: openai/mocked, api_key: none, mock_response: \"The capital is Paris.\"}
general_settings: {master_key: sk-litellm-canary-7d1f}
";

/// The proxy, which does not outlive the test.
struct Proxy {
    process: Child,
    port: u16,
}

impl Proxy {
    fn start(python: &Path, folder: &Folder) -> Self {
        folder.write("litellm.yaml", CONFIG);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let mut command = Command::new(python.with_file_name("litellm"));
        command.args(["--config", "litellm.yaml", "--host", "127.0.0.1", "--telemetry", "False"]);
        command.arg("--port").arg(port.to_string()).current_dir(folder.path(""));
        // It would look for prices elsewhere.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("litellm can be started");
        let mut proxy = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "litellm does not listen");
            assert!(proxy.process.try_wait().expect("its state").is_none(), "litellm has ended");
            std::thread::sleep(Duration::from_millis(100));
        }
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spec(evaluator: &str, config: &str) -> String {
    format!(
        "schema_version: \"1\"
id: test/litellm
version: 1.0.0
evaluator: {{id: {evaluator}, config: {{{config}, model: mocked, max_tokens: 50, api_key_env: PROXY_KEY}}}}
judges:
  - {{id: eval_fabric.contains, config: {{expected: Paris}}}}
"
    )
}

#[test]
fn both_apis_are_spoken_to_an_implementation_of_others() {
    let environments = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(python) = ef_testkit::python_with(environments, "litellm", &["litellm[proxy]==1.106.2"]) else { return };
    let folder = Folder::new();
    let proxy = Proxy::start(&python, &folder);
    let openai = format!("base_url: \"http://127.0.0.1:{}/v1\"", proxy.port);
    let anthropic = format!("base_url: \"http://127.0.0.1:{}\"", proxy.port);
    let specs = [
        spec("eval_fabric.openai_chat", &openai),
        spec("eval_fabric.openai_chat", &format!("{openai}, stream: true")),
        spec("eval_fabric.anthropic_messages", &anthropic),
        spec("eval_fabric.anthropic_messages", &format!("{anthropic}, stream: true")),
    ];
    for text in specs {
        folder.write("spec.yaml", &text);
        let run = ["run", "spec.yaml", "--dataset", "dataset.jsonl", "--format", "json"];
        let ended = folder.ef_with(run, "", &[("PROXY_KEY", KEY)]).exits(0);
        let result = ended.json();
        assert_eq!(result["counts"]["ok"], 4, "{text}{ended}");
        assert_eq!(result["metrics"][0]["value"], 1.0, "{text}{ended}");
        assert!(result["usage"]["evaluator"]["output_tokens"].as_u64() > Some(0), "{text}{ended}");
    }
    // A key that the proxy does not know is a fault for good, and is told as one.
    let run = ["run", "spec.yaml", "--dataset", "dataset.jsonl", "--format", "json"];
    let ended = folder.ef_with(run, "", &[("PROXY_KEY", "sk-litellm-wrong-9c2e")]).exits(0);
    assert_eq!(ended.json()["counts"]["error"], 4, "{ended}");
    assert!(!ended.to_string().contains("sk-litellm-wrong-9c2e"), "{ended}");
}

//! The floor of `cargo xtask bench network`: the calls of an evaluation and nothing else. For each item of a dataset one
//! call makes an answer and a second one judges it, so many items at the same time; nothing is limited, retried, checked
//! or kept.
//!
//! ```console
//! $ cargo run --release -p ef-client --example bare-loop -- DATASET.jsonl http://127.0.0.1:8099/v1 256
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Item {
    input: String,
}

#[derive(Deserialize)]
struct Reply {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dataset, base_url, concurrency] = arguments.as_slice() else {
        return Err("bare-loop DATASET.jsonl BASE_URL CONCURRENCY".into());
    };
    let lines = Arc::new(Mutex::new(BufReader::new(File::open(dataset)?).lines()));
    // Whatever is called is called without TLS, but reqwest wants to know what would do it.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "there is a provider already")?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{base_url}/chat/completions");
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..concurrency.parse::<u32>()? {
        workers.spawn(work(Arc::clone(&lines), client.clone(), url.clone()));
    }
    let mut items = 0;
    while let Some(done) = workers.join_next().await {
        items += done??;
    }
    println!("{}", json!({ "items": items }));
    Ok(())
}

/// Does one item after the other until there are no more.
async fn work(lines: Arc<Mutex<Lines<BufReader<File>>>>, client: reqwest::Client, url: String) -> Result<u64, Failure> {
    let mut items = 0;
    loop {
        let line = lines.lock().map_err(|_| "a worker panicked")?.next();
        let Some(line) = line else { return Ok(items) };
        let item: Item = serde_json::from_str(&line?)?;
        let answer = call(&client, &url, &item.input).await?;
        call(&client, &url, &format!("Is this a good answer? Say pass or fail.\n{}\n{answer}", item.input)).await?;
        items += 1;
    }
}

async fn call(client: &reqwest::Client, url: &str, prompt: &str) -> Result<String, Failure> {
    let body = json!({"model": "bench", "messages": [{"role": "user", "content": prompt}]});
    let request = client.post(url).header("content-type", "application/json").body(body.to_string());
    let bytes = request.send().await?.error_for_status()?.bytes().await?;
    let reply: Reply = serde_json::from_slice(&bytes)?;
    let choice = reply.choices.into_iter().next().ok_or("a reply without a choice")?;
    Ok(choice.message.content)
}

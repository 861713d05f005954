//! Store URIs: `parquet://`, and object storage with `?format=parquet`.

use std::path::PathBuf;
use std::time::Duration;

use ef_model::StoreError;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The URI for messages. It holds nothing secret.
    pub(crate) name: String,
    pub(crate) place: PlaceName,
    pub(crate) lease: Duration,
    /// How long a request to object storage that fails is tried again.
    pub(crate) patience: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlaceName {
    Folder(PathBuf),
    Bucket {
        service: Service,
        bucket: String,
        prefix: String,
        endpoint: Option<String>,
        region: Option<String>,
        path_style: Option<bool>,
    },
}

/// Whose object storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Gcs,
    Azure,
}

/// How long a writer that was killed keeps others from its run.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How long a request to object storage that fails is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

impl Location {
    /// Reads a URI, or says that it is of another kind of store (`None`).
    ///
    /// * `parquet:///srv/archive` and `parquet://archive` are folders; what follows `parquet://` is the path as it is, and
    ///   `parquet:///./archive` is relative. A bare `parquet://` is `./runs/parquet`.
    /// * `s3://bucket/prefix?format=parquet`, and the same with `gs://` and `az://`, are in object storage.
    ///
    /// A query may also have `lease_seconds`, and for object storage `endpoint`, `region`, `path_style` and `retry_seconds`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the URI is of this kind and says something that cannot be.
    pub fn parse(uri: &str) -> Result<Option<Self>, StoreError> {
        let Some((scheme, rest)) = uri.split_once("://") else { return Ok(None) };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let service = match scheme {
            "parquet" => None,
            "s3" => Some(Service::S3),
            "gs" => Some(Service::Gcs),
            "az" => Some(Service::Azure),
            _ => return Ok(None),
        };
        let name = format!("{scheme}://{}", path.rsplit_once('@').map_or(path, |(_, after)| after));
        let refuse = |reason: String| StoreError::Unavailable { store: name.clone(), reason };
        let mut settings = Settings::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            settings.set(key, &decoded(value), service.is_some()).map_err(refuse)?;
        }
        let Some(service) = service else {
            let place = PlaceName::Folder(folder(path));
            return Ok(Some(Self {
                name,
                place,
                lease: settings.lease.unwrap_or(LEASE),
                patience: settings.patience.unwrap_or(PATIENCE),
            }));
        };
        if !settings.parquet {
            return Err(refuse(format!("in object storage the format is named: {name}?format=parquet")));
        }
        if path.contains('@') {
            return Err(refuse("credentials have no place in a URI: they come from the environment".to_owned()));
        }
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() {
            return Err(refuse(format!("it names no bucket: {scheme}://BUCKET/PREFIX?format=parquet")));
        }
        let place = PlaceName::Bucket {
            service,
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: settings.endpoint,
            region: settings.region,
            path_style: settings.path_style,
        };
        Ok(Some(Self {
            name,
            place,
            lease: settings.lease.unwrap_or(LEASE),
            patience: settings.patience.unwrap_or(PATIENCE),
        }))
    }

    /// A folder on disk.
    #[must_use]
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            name: format!("parquet://{}", path.display()),
            place: PlaceName::Folder(path),
            lease: LEASE,
            patience: PATIENCE,
        }
    }

    /// The same place with another lease: how long a writer that was killed keeps others from its run. A living writer
    /// renews it three times as often. By default 30 seconds.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The URI for messages, without its query and without anything secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Default)]
struct Settings {
    parquet: bool,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: Option<bool>,
    lease: Option<Duration>,
    patience: Option<Duration>,
}

impl Settings {
    /// Takes one setting. An unknown one is named without its value, which may be a secret that has no place here.
    fn set(&mut self, key: &str, value: &str, remote: bool) -> Result<(), String> {
        match key {
            "format" if value == "parquet" => self.parquet = true,
            "format" => return Err("its format is not one that is known here: format=parquet".to_owned()),
            "lease_seconds" => {
                let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                self.lease = Some(Duration::from_secs(seconds.ok_or("lease_seconds is a number from 1 to 3600")?));
            }
            "retry_seconds" if remote => {
                let seconds = value.parse().ok().filter(|seconds| *seconds <= 3600);
                self.patience = Some(Duration::from_secs(seconds.ok_or("retry_seconds is a number up to 3600")?));
            }
            "endpoint" if remote => self.endpoint = Some(value.to_owned()),
            "region" if remote => self.region = Some(value.to_owned()),
            "path_style" if remote => {
                self.path_style = Some(value.parse().map_err(|_| "path_style is true or false")?);
            }
            _ => {
                let known = if remote {
                    "format, endpoint, region, path_style, lease_seconds, retry_seconds"
                } else {
                    "lease_seconds"
                };
                let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
                return Err(format!("its URI has an unknown setting {key:?}; there are {known}"));
            }
        }
        Ok(())
    }
}

fn folder(path: &str) -> PathBuf {
    PathBuf::from(match path {
        "" | "/" => "./runs/parquet",
        _ if path.starts_with("/./") || path.starts_with("/../") => &path[1..],
        _ => path,
    })
}

/// Percent-decoding; what is not valid stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) if byte == b'%' => {
                bytes.push(value);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(uri: &str) -> PlaceName {
        Location::parse(uri).expect("valid").expect("of this kind").place
    }

    #[test]
    fn what_follows_the_scheme_is_the_path() {
        let cases = [
            ("parquet://", "./runs/parquet"),
            ("parquet://x", "x"),
            ("parquet:///./x", "./x"),
            ("parquet:///srv/x y", "/srv/x y"),
        ];
        for (uri, path) in cases {
            assert_eq!(parsed(uri), PlaceName::Folder(path.into()), "{uri}");
        }
        assert_eq!(Location::parse("sqlite://x").expect("nothing wrong"), None);
        assert_eq!(Location::parse("x").expect("nothing wrong"), None);
    }

    #[test]
    fn object_storage_is_bucket_prefix_and_settings() {
        let place =
            parsed("s3://b/p/q/?format=parquet&endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=eu&path_style=true");
        let expected = PlaceName::Bucket {
            service: Service::S3,
            bucket: "b".to_owned(),
            prefix: "p/q".to_owned(),
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            region: Some("eu".to_owned()),
            path_style: Some(true),
        };
        assert_eq!(place, expected);
    }

    #[test]
    fn invariant_8_what_a_uri_gets_wrong_is_told_without_secrets() {
        let uris = [
            "s3://b/p",
            "s3:///p?format=parquet",
            "s3://hunter2:hunter2@b/p?format=parquet",
            "s3://b/p?format=parquet&secret_access_key=hunter2",
            "parquet://x?lease_seconds=0",
            "s3://b?format=csv",
        ];
        let told: Vec<_> = uris
            .iter()
            .map(|uri| Location::parse(uri).expect_err("refused").to_string())
            .inspect(|message| assert!(!message.contains("hunter2"), "{message}"))
            .collect();
        assert_eq!(
            told,
            [
                "the trace store s3://b/p is unavailable: in object storage the format is named: s3://b/p?format=parquet",
                "the trace store s3:///p is unavailable: it names no bucket: s3://BUCKET/PREFIX?format=parquet",
                "the trace store s3://b/p is unavailable: credentials have no place in a URI: they come from the environment",
                "the trace store s3://b/p is unavailable: its URI has an unknown setting \"secret_access_key\"; there are \
             format, endpoint, region, path_style, lease_seconds, retry_seconds",
                "the trace store parquet://x is unavailable: lease_seconds is a number from 1 to 3600",
                "the trace store s3://b is unavailable: its format is not one that is known here: format=parquet",
            ]
        );
    }
}

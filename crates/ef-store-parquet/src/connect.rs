//! From a location and an environment to a folder of blobs. No variable of the process is read.

use std::sync::Arc;
use std::time::Duration;

use ef_model::{Environment, StoreError};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use crate::blobs::Blobs;
use crate::connector::Connector;
use crate::local::LocalFolder;
use crate::remote::RemoteFolder;
use crate::uri::{Location, PlaceName, Service};

/// The folder at a location. Nothing is opened yet.
pub(crate) fn blobs(location: &Location, environment: &Environment) -> Result<Blobs, StoreError> {
    let refuse = |reason: String| StoreError::Unavailable { store: location.name.clone(), reason };
    match &location.place {
        PlaceName::Folder(path) => Ok(Blobs::local(&location.name, LocalFolder::new(path))),
        PlaceName::Bucket { service, bucket, prefix, endpoint, region, path_style } => {
            let connector = Connector::new(proxy(environment));
            let store = match service {
                Service::S3 => {
                    let settings = S3 {
                        bucket,
                        endpoint: endpoint.as_deref(),
                        region: region.as_deref(),
                        path_style: *path_style,
                    };
                    settings.connect(environment, connector, location.patience)
                }
                Service::Gcs => gcs(bucket, environment, connector, location.patience),
                Service::Azure => azure(bucket, environment, connector, location.patience),
            };
            let prefix = Path::parse(prefix).map_err(|_| refuse("its prefix is not a valid path".to_owned()))?;
            Ok(Blobs::remote(&location.name, RemoteFolder::new(store.map_err(refuse)?, prefix, location.patience)))
        }
    }
}

fn value<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
}

fn proxy(environment: &Environment) -> Option<String> {
    ["HTTPS_PROXY", "https_proxy"].iter().find_map(|name| value(environment, name)).map(str::to_owned)
}

/// Tries again for a while, which outlives a storage that refuses some requests.
fn retry(patience: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 20,
        retry_timeout: patience,
    }
}

struct S3<'l> {
    bucket: &'l str,
    endpoint: Option<&'l str>,
    region: Option<&'l str>,
    path_style: Option<bool>,
}

/// The variables that are passed on as they are.
const S3_VARIABLES: [(&str, AmazonS3ConfigKey); 12] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_DEFAULT_REGION", AmazonS3ConfigKey::DefaultRegion),
    ("AWS_REGION", AmazonS3ConfigKey::Region),
    ("AWS_ENDPOINT_URL", AmazonS3ConfigKey::Endpoint),
    ("AWS_ENDPOINT_URL_S3", AmazonS3ConfigKey::Endpoint),
    ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", AmazonS3ConfigKey::VirtualHostedStyleRequest),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_SKIP_SIGNATURE", AmazonS3ConfigKey::SkipSignature),
];

impl S3<'_> {
    fn connect(
        &self,
        environment: &Environment,
        connector: Connector,
        patience: Duration,
    ) -> Result<Arc<dyn ObjectStore>, String> {
        let given = |name: &str| value(environment, name).is_some();
        let keys = given("AWS_ACCESS_KEY_ID") && given("AWS_SECRET_ACCESS_KEY");
        let elsewhere = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_SKIP_SIGNATURE"];
        if !keys && !elsewhere.into_iter().any(given) {
            // The client would ask the machine's metadata service, over a network that nobody configured.
            return Err("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(self.bucket)
            .with_http_connector(connector)
            .with_retry(retry(patience))
            .with_disable_tagging(true);
        let mut endpoint = None;
        for (name, key) in S3_VARIABLES {
            if let Some(value) = value(environment, name) {
                if matches!(key, AmazonS3ConfigKey::Endpoint) {
                    endpoint = Some(value);
                }
                builder = builder.with_config(key, value);
            }
        }
        if let Some(region) = self.region {
            builder = builder.with_region(region);
        }
        if let Some(given) = self.endpoint {
            builder = builder.with_endpoint(given);
            endpoint = Some(given);
        }
        if let Some(path_style) = self.path_style {
            builder = builder.with_virtual_hosted_style_request(!path_style);
        }
        // Whoever names an address without TLS means it.
        builder = builder.with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
        // Its error may quote settings.
        let store =
            builder.build().map_err(|_| "its settings for S3 are not valid: check AWS_* and the URI".to_owned())?;
        Ok(Arc::new(store))
    }
}

#[cfg(feature = "gcp")]
fn gcs(
    bucket: &str,
    environment: &Environment,
    connector: Connector,
    patience: Duration,
) -> Result<Arc<dyn ObjectStore>, String> {
    use object_store::gcp::GoogleCloudStorageBuilder;
    let Some(account) = value(environment, "GOOGLE_APPLICATION_CREDENTIALS") else {
        return Err("there are no credentials: set GOOGLE_APPLICATION_CREDENTIALS to a key file".to_owned());
    };
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_application_credentials(account)
        .with_http_connector(connector)
        .with_retry(retry(patience))
        .build()
        .map_err(|_| "its settings for Google Cloud Storage are not valid".to_owned())?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "gcp"))]
fn gcs(_: &str, _: &Environment, _: Connector, _: Duration) -> Result<Arc<dyn ObjectStore>, String> {
    Err("this build cannot reach Google Cloud Storage: its feature gcp is off".to_owned())
}

#[cfg(feature = "azure")]
fn azure(
    container: &str,
    environment: &Environment,
    connector: Connector,
    patience: Duration,
) -> Result<Arc<dyn ObjectStore>, String> {
    use object_store::azure::MicrosoftAzureBuilder;
    let (Some(account), Some(key)) =
        (value(environment, "AZURE_STORAGE_ACCOUNT_NAME"), value(environment, "AZURE_STORAGE_ACCOUNT_KEY"))
    else {
        let missing = "there are no credentials: set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
        return Err(missing.to_owned());
    };
    let store = MicrosoftAzureBuilder::new()
        .with_container_name(container)
        .with_account(account)
        .with_access_key(key)
        .with_http_connector(connector)
        .with_retry(retry(patience))
        .build()
        .map_err(|_| "its settings for Azure are not valid".to_owned())?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "azure"))]
fn azure(_: &str, _: &Environment, _: Connector, _: Duration) -> Result<Arc<dyn ObjectStore>, String> {
    Err("this build cannot reach Azure: its feature azure is off".to_owned())
}

//! Exporters that speak OTLP, as the settings ask for them. Those of gRPC have to be made inside a runtime.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanExporter as _;

use crate::outlet::Outlet;
use crate::settings::{Otlp, Protocol};
use crate::transport::{Http, grpc_tls};

/// Says in a word that an exporter cannot be made; what the library says may quote an address.
const UNUSABLE: &str = "the exporter cannot be set up";

/// For spans, as those of this resource.
pub(crate) fn of_spans(otlp: &Otlp, resource: &Resource, outlet: Arc<Outlet>) -> Result<SpanExporter, String> {
    let mut exporter = match otlp.protocol {
        Protocol::Http => http(SpanExporter::builder().with_http(), otlp, outlet)?.build(),
        Protocol::Grpc => grpc(SpanExporter::builder().with_tonic(), otlp)?.build(),
    }
    .map_err(|_| UNUSABLE.to_owned())?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// For log records, as those of this resource.
pub(crate) fn of_records(otlp: &Otlp, resource: &Resource, outlet: Arc<Outlet>) -> Result<LogExporter, String> {
    let mut exporter = match otlp.protocol {
        Protocol::Http => http(LogExporter::builder().with_http(), otlp, outlet)?.build(),
        Protocol::Grpc => grpc(LogExporter::builder().with_tonic(), otlp)?.build(),
    }
    .map_err(|_| UNUSABLE.to_owned())?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// For metrics. They are read one last time at the end of a process, and each reading has all that was counted so far:
/// trying long and often would hold up the end and gain nothing.
pub(crate) fn of_metrics(otlp: &Otlp, temporality: Temporality, outlet: Arc<Outlet>) -> Result<MetricExporter, String> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    let retries = RetryPolicy::recommended().with_max_retries(1);
    match otlp.protocol {
        Protocol::Http => http(builder.with_http(), otlp, outlet)?.with_retry_policy(retries).build(),
        Protocol::Grpc => grpc(builder.with_tonic(), otlp)?.with_retry_policy(retries).build(),
    }
    .map_err(|_| UNUSABLE.to_owned())
}

fn headers(otlp: &Otlp) -> HashMap<String, String> {
    otlp.headers.iter().map(|(name, value)| (name.clone(), value.expose().clone())).collect()
}

fn http<B: WithExportConfig + WithHttpConfig>(builder: B, otlp: &Otlp, outlet: Arc<Outlet>) -> Result<B, String> {
    let builder = builder
        .with_http_client(Http::new(otlp, outlet)?)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(otlp.endpoint.to_string())
        .with_timeout(otlp.timeout)
        .with_headers(headers(otlp));
    Ok(if otlp.gzip { builder.with_compression(Compression::Gzip) } else { builder })
}

fn grpc<B: WithExportConfig + WithTonicConfig>(builder: B, otlp: &Otlp) -> Result<B, String> {
    let headers = http::HeaderMap::try_from(&headers(otlp)).map_err(|_| UNUSABLE.to_owned())?;
    let mut builder = builder
        .with_endpoint(otlp.endpoint.to_string())
        .with_timeout(otlp.timeout)
        .with_metadata(MetadataMap::from_headers(headers));
    if otlp.endpoint.scheme_str() == Some("https") {
        builder = builder.with_tls_config(grpc_tls(otlp));
    }
    Ok(if otlp.gzip { builder.with_compression(Compression::Gzip) } else { builder })
}

//! Writes the CycloneDX document of a program: what is linked into it comes as JSON on standard input, the document goes to
//! standard output. `cargo xtask sbom` runs it; it is an example so that the crate that knows CycloneDX is built only then.

#![allow(clippy::print_stderr, reason = "it talks to the person who runs it")]

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use cyclonedx_bom::external_models::date_time::DateTime;
use cyclonedx_bom::models::bom::{Bom, SpecVersion, UrnUuid};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{ExternalReference, ExternalReferenceType, ExternalReferences};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::Tools;
use cyclonedx_bom::prelude::{Purl, SpdxExpression, Uri, Validate as _};
use sha2::{Digest as _, Sha256};

#[path = "../src/sbom/linked.rs"]
mod linked;

use linked::{Linked, Package};

/// The version of CycloneDX that is written.
const VERSION: SpecVersion = SpecVersion::V1_5;

fn main() -> ExitCode {
    let mut input = Vec::new();
    let done = std::io::stdin().read_to_end(&mut input).map_err(|error| error.to_string()).and_then(|_| {
        let linked: Linked = serde_json::from_slice(&input).map_err(|error| format!("standard input: {error}"))?;
        let document = document(&linked)?;
        std::io::stdout().write_all(&document).map_err(|error| error.to_string())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("sbom: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The document as JSON. Its serial number comes from its content: the same content has the same number.
fn document(linked: &Linked) -> Result<Vec<u8>, String> {
    let mut bom = bom(linked)?;
    bom.serial_number = Some(serial_number(&json(bom.clone())?)?);
    valid(&bom)?;
    let mut document = json(bom)?;
    document.push(b'\n');
    // What was written is read again, so that a document that others cannot read never leaves.
    let read =
        Bom::parse_from_json(document.as_slice()).map_err(|error| format!("the document is not valid: {error}"))?;
    valid(&read)?;
    Ok(document)
}

fn bom(linked: &Linked) -> Result<Bom, String> {
    let (root, libraries): (Vec<&Package>, Vec<&Package>) =
        linked.packages.iter().partition(|package| package.id == linked.root);
    let [root] = root.as_slice() else { return Err(format!("there is not one package {}", linked.root)) };
    let components = libraries.iter().map(|package| component(linked, package)).collect::<Result<Vec<_>, String>>()?;
    let dependency = |package: &&Package| -> Result<Dependency, String> {
        let uses = package.uses.iter().map(|id| reference(linked, id)).collect::<Result<Vec<String>, String>>()?;
        Ok(Dependency { dependency_ref: reference(linked, &package.id)?, dependencies: uses })
    };
    let dependencies = linked.packages.iter().collect::<Vec<_>>();
    let dependencies = dependencies.iter().map(dependency).collect::<Result<Vec<_>, String>>()?;
    Ok(Bom {
        version: 1,
        serial_number: None,
        metadata: Some(metadata(linked, root)?),
        components: Some(Components(components)),
        services: None,
        external_references: None,
        dependencies: Some(Dependencies(dependencies)),
        compositions: None,
        properties: None,
        vulnerabilities: None,
        signature: None,
        annotations: None,
        formulation: None,
        spec_version: VERSION,
    })
}

fn metadata(linked: &Linked, root: &Package) -> Result<Metadata, String> {
    let mut program = component(linked, root)?;
    program.component_type = Classification::Application;
    program.name = linked.name.as_str().into();
    program.version = Some(linked.version.as_str().into());
    program.licenses = Some(licenses(&linked.license)?);
    program.hashes = linked.sha256.as_deref().map(hashes);
    let sources = ExternalReference::new(ExternalReferenceType::Vcs, Uri::new(&linked.repository));
    program.external_references = Some(ExternalReferences(vec![sources]));
    let maker = Component::new(Classification::Application, "cargo xtask sbom", &linked.version, None);
    Ok(Metadata {
        timestamp: Some(DateTime::try_from(linked.time.clone()).map_err(|error| error.to_string())?),
        tools: Some(Tools::Object { services: None, components: Some(Components(vec![maker])) }),
        component: Some(program),
        properties: Some(Properties(vec![
            Property::new("cdx:rustc:sbom:target:triple", &linked.target),
            Property::new("eval-fabric:commit", &linked.commit),
        ])),
        ..Metadata::default()
    })
}

fn component(linked: &Linked, package: &Package) -> Result<Component, String> {
    let reference = reference(linked, &package.id)?;
    let mut component =
        Component::new(Classification::Library, &package.name, &package.version, Some(reference.clone()));
    component.purl = Some(reference.parse::<Purl>().map_err(|()| format!("{reference} is no package URL"))?);
    component.hashes = package.checksum.as_deref().map(hashes);
    component.licenses = package.license.as_deref().map(licenses).transpose()?;
    if !package.features.is_empty() {
        component.properties = Some(Properties(vec![Property::new("cargo:features", &package.features)]));
    }
    Ok(component)
}

/// The package URL of a package, which is also its name within the document. A crate of the program's own repository names
/// the commit, for what a registry may have under its name is something else.
fn reference(linked: &Linked, id: &str) -> Result<String, String> {
    let package = linked.packages.iter().find(|package| package.id == id);
    let package = package.ok_or_else(|| format!("{id} is used and not listed"))?;
    let purl = Purl::new("cargo", &package.name, &package.version).map_err(|error| error.to_string())?;
    // The specification asks for it, and the library leaves it out.
    let purl = purl.as_ref().replace('+', "%2B");
    Ok(match package.checksum {
        Some(_) => purl,
        None => format!("{purl}?vcs_url=git%2B{}%40{}", escaped(&linked.repository), linked.commit),
    })
}

/// An address within a package URL's qualifier.
fn escaped(address: &str) -> String {
    address.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('&', "%26").replace('#', "%23")
}

fn hashes(sha256: &str) -> Hashes {
    Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content: HashValue(sha256.to_owned()) }])
}

fn licenses(expression: &str) -> Result<Licenses, String> {
    let expression = SpdxExpression::parse_lax(expression.to_owned()).map_err(|error| error.to_string())?;
    Ok(Licenses(vec![LicenseChoice::Expression(expression)]))
}

/// A UUID of the free form (version 8, RFC 9562) made of a digest.
fn serial_number(content: &[u8]) -> Result<UrnUuid, String> {
    let digest = Sha256::digest(content);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let uuid = format!("urn:uuid:{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
    UrnUuid::new(uuid.clone()).map_err(|_| format!("{uuid} is no UUID"))
}

fn valid(bom: &Bom) -> Result<(), String> {
    let result = bom.validate_version(VERSION);
    if result.passed() { Ok(()) } else { Err(format!("the document is not valid: {result:?}")) }
}

fn json(bom: Bom) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    bom.output_as_json_v1_5(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn linked() -> Value {
        json!({
            "name": "ef", "version": "1.2.3", "license": "MIT", "repository": "https://example.org/eval-fabric",
            "commit": "abcd", "time": "2001-02-03T03:05:06Z", "target": "some-target", "sha256": SUM,
            "root": "ef-cli 1.2.3",
            "packages": [
                {"id": "ef-cli 1.2.3", "name": "ef-cli", "version": "1.2.3", "license": "MIT", "checksum": null,
                 "features": "default", "uses": ["old 3.0.0+4", "ef-model 1.2.3"]},
                {"id": "ef-model 1.2.3", "name": "ef-model", "version": "1.2.3", "license": "MIT", "checksum": null,
                 "features": "", "uses": []},
                {"id": "old 3.0.0+4", "name": "old", "version": "3.0.0+4", "license": "MIT/Apache-2.0",
                 "checksum": SUM, "features": "a,b", "uses": []},
            ],
        })
    }

    fn made(linked: &Value) -> Result<Value, String> {
        let linked = serde_json::from_value(linked.clone()).expect("it is what the task gives");
        document(&linked).map(|document| serde_json::from_slice(&document).expect("it is JSON"))
    }

    #[test]
    fn a_document_names_the_program_and_everything_in_it() {
        let document = made(&linked()).expect("it is valid");
        assert_eq!((&document["bomFormat"], &document["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        let program = &document["metadata"]["component"];
        assert_eq!((&program["type"], &program["name"]), (&json!("application"), &json!("ef")));
        assert_eq!(program["hashes"], json!([{"alg": "SHA-256", "content": SUM}]));
        assert_eq!(document["metadata"]["timestamp"], "2001-02-03T03:05:06Z");
        let [model, old] = document["components"].as_array().expect("a list").as_slice() else {
            panic!("not two components: {document}")
        };
        assert_eq!(
            model["purl"],
            "pkg:cargo/ef-model@1.2.3?vcs_url=git%2Bhttps%3A%2F%2Fexample.org%2Feval-fabric%40abcd"
        );
        assert!(model.get("hashes").is_none());
        assert_eq!(old["purl"], "pkg:cargo/old@3.0.0%2B4");
        assert_eq!(old["licenses"], json!([{"expression": "MIT OR Apache-2.0"}]));
        assert_eq!(old["hashes"][0]["content"], SUM);
        let dependencies = document["dependencies"].as_array().expect("a list");
        assert_eq!(dependencies[0]["ref"], program["bom-ref"]);
        assert_eq!(dependencies[0]["dependsOn"], json!([old["bom-ref"], model["bom-ref"]]));
    }

    #[test]
    fn the_same_content_gives_the_same_document_and_another_one_another_number() {
        let (one, two) = (made(&linked()).expect("valid"), made(&linked()).expect("valid"));
        assert_eq!(one, two);
        let mut other = linked();
        other["packages"][2]["version"] = json!("3.0.1");
        let other = made(&other).expect("valid");
        assert_ne!(one["serialNumber"], other["serialNumber"]);
    }

    #[test]
    fn what_would_not_be_a_valid_document_is_refused() {
        let broken = [
            ("/packages/2/license", json!("all rights reserved")),
            ("/packages/2/checksum", json!("0123")),
            ("/packages/0/uses/0", json!("not listed")),
            ("/root", json!("not listed")),
            ("/time", json!("yesterday")),
        ];
        for (path, value) in broken {
            let mut linked = linked();
            *linked.pointer_mut(path).expect("the path is there") = value;
            made(&linked).expect_err(path);
        }
    }
}

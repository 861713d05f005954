//! A small release, made and signed as a real one, and everything that can be wrong with it.

use std::process::Command;

use minisign::KeyPair;
use serde_json::json;

use super::super::archive::File;
use super::super::dist;
use super::super::provenance::Origin;
use super::super::sign::sign;
use super::super::toolchain::Toolchain;
use super::*;

const NAME: &str = "ef-1.2.3-some-target";

struct Release {
    folder: tempfile::TempDir,
    keys: KeyPair,
}

impl Release {
    fn new() -> Self {
        Self::of("the program", &sbom("the program"), &sbom("the program"), &provenance::by_hand())
    }

    fn of(program: &str, sbom: &[u8], inside: &[u8], builder: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let toolchain = Toolchain {
            rustc: "1.95.0".to_owned(),
            commit: "ab".repeat(20),
            host: "some-target".to_owned(),
            sysroot: "/sysroot".into(),
            cc: "cc".to_owned(),
        };
        let origin = Origin {
            commit: "cd".repeat(20),
            target: "some-target".to_owned(),
            profile: "release",
            lock: "ef".repeat(32),
            builder: builder.to_owned(),
        };
        let files = [File::new(sbom::PROGRAM, program), File::new(SBOM_INSIDE, inside)];
        dist::write(folder.path(), "1.2.3", &files, sbom, &origin, &toolchain, 0).expect("it is written");
        let release = Self { folder, keys: KeyPair::generate_unencrypted_keypair().expect("there is randomness") };
        release.sign();
        release
    }

    fn sign(&self) {
        sign(self.folder.path(), &self.keys.sk).expect("it is signed");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn key(&self) -> String {
        self.keys.pk.to_base64()
    }

    fn verify(&self) -> Result<Claims, Failure> {
        let arguments = self.arguments();
        verify(&arguments, &public_key(&arguments.public_key)?)
    }

    fn arguments(&self) -> Arguments {
        Arguments { dir: self.folder.path().to_owned(), public_key: self.key(), commit: None, builder: None }
    }

    fn refusal(&self) -> String {
        self.verify().expect_err("it is refused").message
    }

    /// Writes the sums of the files as they are now, and signs them: what one who has the key can do.
    fn sum_and_sign(&self) {
        let mut sums = Sums::new();
        for entry in std::fs::read_dir(self.folder.path()).expect("it is a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
            if name != SUMS && name != SIGNATURE {
                sums.insert(name.clone(), sha256(&step::read(&self.path(&name)).expect("it is read")));
            }
        }
        step::write(&self.path(SUMS), sums::write(&sums)).expect("written");
        self.sign();
    }
}

fn sbom(program: &str) -> Vec<u8> {
    let properties = [
        json!({"name": "eval-fabric:commit", "value": "cd".repeat(20)}),
        json!({"name": "cdx:rustc:sbom:target:triple", "value": "some-target"}),
    ];
    let hash = json!({"alg": "SHA-256", "content": sha256(program.as_bytes())});
    let component = json!({"name": "ef", "version": "1.2.3", "hashes": [hash]});
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"component": component, "properties": properties},
        "components": [{"name": "serde"}],
    })
    .to_string()
    .into_bytes()
}

#[test]
fn a_release_as_it_was_made_is_verified() {
    let release = Release::new();
    let claims = release.verify().expect("it is right");
    assert_eq!((claims.commit, claims.target), ("cd".repeat(20), "some-target".to_owned()));
    let file = release.folder.path().with_extension("pub");
    let text = release.keys.pk.to_box().expect("it is boxed").into_string();
    step::write(&file, text).expect("written");
    public_key(&file.to_string_lossy()).expect("a file with the key does as well");
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn a_flipped_bit_in_any_byte_of_the_sums_and_in_any_file_is_found() {
    let release = Release::new();
    for ending in [ARCHIVE, SBOM, PROVENANCE] {
        let path = release.path(&format!("{NAME}{ending}"));
        let whole = step::read(&path).expect("it is read");
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            step::write(&path, &changed).expect("written");
            assert!(release.refusal().contains(&format!("{NAME}{ending} is not what it was")), "{ending} at {at}");
        }
        step::write(&path, &whole).expect("written");
    }
    let whole = step::read(&release.path(SUMS)).expect("it is read");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        step::write(&release.path(SUMS), &changed).expect("written");
        assert!(release.refusal().contains("SHA256SUMS is not signed by this key"), "at {at}");
    }
}

#[test]
fn a_flipped_bit_in_the_signature_is_found() {
    let release = Release::new();
    let whole = step::read_text(&release.path(SIGNATURE)).expect("it is read");
    // The first line is a comment that nobody signs; the third is a comment that is signed.
    let first = whole.find('\n').expect("there are lines") + 1;
    for at in first..whole.len() {
        let mut changed = whole.clone().into_bytes();
        changed[at] ^= 1;
        if changed != whole.as_bytes() && !whole[at..].trim().is_empty() && whole.as_bytes()[at] != b'\n' {
            step::write(&release.path(SIGNATURE), &changed).expect("written");
            release.verify().map(|_| ()).expect_err(&format!("byte {at} of the signature"));
        }
    }
}

#[test]
fn a_missing_file_is_found() {
    for name in [ARCHIVE, SBOM, PROVENANCE].map(|ending| format!("{NAME}{ending}")) {
        let release = Release::new();
        std::fs::remove_file(release.path(&name)).expect("removed");
        assert!(release.refusal().contains(&format!("{name} is missing")));
    }
    for name in [SUMS, SIGNATURE] {
        let release = Release::new();
        std::fs::remove_file(release.path(name)).expect("removed");
        assert!(release.refusal().contains(name));
    }
}

#[test]
fn an_extra_file_is_found() {
    let release = Release::new();
    step::write(&release.path("install.sh"), "curl").expect("written");
    assert!(release.refusal().contains("install.sh does not belong to it"));
    release.sum_and_sign();
    assert!(release.refusal().contains("names 4 files"), "not even with a signature");
}

#[test]
fn another_key_is_found() {
    let (release, other) = (Release::new(), Release::new());
    let arguments = release.arguments();
    let failure = verify(&arguments, &public_key(&other.key()).expect("it is a key")).expect_err("another key");
    assert!(failure.message.contains("SHA256SUMS is not signed by this key"), "{failure}");
    for text in ["", "no key", "RWQ", "/etc/passwd", &release.key()[1..]] {
        assert!(public_key(text).is_err(), "{text}");
    }
}

#[test]
fn another_commit_or_builder_than_the_expected_one_is_found() {
    let release = Release::new();
    let key = public_key(&release.key()).expect("it is a key");
    let commit = Arguments { commit: Some("ab".repeat(20)), ..release.arguments() };
    assert!(verify(&commit, &key).expect_err("another commit").message.contains("and not from abab"));
    let builder = Arguments { builder: Some("https://example.org/ci".to_owned()), ..release.arguments() };
    assert!(verify(&builder, &key).expect_err("another builder").message.contains("and not by https://example.org/ci"));
    let unknown = Release::of("p", &sbom("p"), &sbom("p"), "https://example.org/ci");
    assert!(unknown.refusal().contains("built by https://example.org/ci, and not by"));
}

#[test]
fn files_that_are_signed_and_not_about_one_another_are_found() {
    let inside = Release::of("p", &sbom("p"), b"{}", &provenance::by_hand());
    assert!(inside.refusal().contains("the SBOM in the archive is another one"));
    let program = Release::of("p", &sbom("q"), &sbom("q"), &provenance::by_hand());
    assert!(program.refusal().contains("the SBOM is about another program"));
    let nothing = Release::of("p", b"{}", b"{}", &provenance::by_hand());
    assert!(nothing.refusal().contains("no CycloneDX document"));
    let provenance = Release::new();
    let (path, other) = (format!("{NAME}{PROVENANCE}"), Release::of("q", &sbom("q"), b"{}", &provenance::by_hand()));
    std::fs::copy(other.path(&path), provenance.path(&path)).expect("copied");
    provenance.sum_and_sign();
    assert!(provenance.refusal().contains("the provenance is about other files"));
}

#[test]
fn the_stock_minisign_program_verifies_the_same_signature_and_makes_keys_that_are_read() {
    if Command::new("minisign").arg("-v").output().is_err() {
        eprintln!("SKIPPED: the program minisign is not installed, so nothing shows that it accepts these signatures");
        return;
    }
    let release = Release::new();
    let stock = |key: &str| {
        step::text(Command::new("minisign").args(["-V", "-m", SUMS, "-P", key]).current_dir(release.folder.path()))
    };
    let said = stock(&release.key()).expect("minisign accepts the signature");
    assert!(said.contains("Trusted comment: file:SHA256SUMS"), "{said}");
    stock(&Release::new().key()).expect_err("minisign refuses another key");
    let keys = tempfile::tempdir().expect("a temporary folder");
    let mut generate = Command::new("minisign");
    step::text(generate.args(["-G", "-W", "-p", "public", "-s", "secret"]).current_dir(keys.path())).expect("keys");
    let secret = step::read_text(&keys.path().join("secret")).expect("it is read");
    let secret = super::super::sign::secret(&secret, None).expect("it is a key of minisign");
    sign(release.folder.path(), &secret).expect("it is signed");
    let public = step::read_text(&keys.path().join("public")).expect("it is read");
    verify(&release.arguments(), &public_key(&public).expect("it is a key")).expect("it is right");
}

//! `cargo xtask sign`: signs the sums of a release with a minisign key. The key and its password come from a file, the
//! environment or the terminal, never from the command line, where other users of the machine could read them.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use ct_codecs::{Base64, Decoder as _};
use minisign::{PublicKey, SecretKey, SecretKeyBox};

use super::{SIGNATURE, SUMS, sums};
use crate::step::{self, Failure};

/// The variable with the text of the secret key.
const KEY: &str = "EVAL_FABRIC_SIGNING_KEY";

/// The variable with the password of the secret key.
const PASSWORD: &str = "EVAL_FABRIC_SIGNING_PASSWORD";

/// Arguments of `cargo xtask sign`.
#[derive(Debug, Args)]
#[command(after_help = "\
The secret key is one of minisign (`minisign -G` makes one): the file of --key, or else the text in the environment variable
EVAL_FABRIC_SIGNING_KEY. Where it has a password, that is the text in EVAL_FABRIC_SIGNING_PASSWORD, or is asked for.")]
pub(crate) struct Arguments {
    /// The folder that `cargo xtask dist` made.
    dir: PathBuf,
    /// The file with the secret key.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Signs a release.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = match &arguments.key {
        Some(file) => step::read_text(file)?,
        None => std::env::var(KEY)
            .ok()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Failure::new(format!("there is no key: give its file with --key, or its text in {KEY}")))?,
    };
    let secret = secret(&key, std::env::var(PASSWORD).ok())?;
    let public = sign(&arguments.dir, &secret)?;
    eprintln!("    {} is signed", arguments.dir.join(SUMS).display());
    eprintln!("    check it: cargo xtask verify {} --public-key {public}", arguments.dir.display());
    Ok(())
}

/// The secret key in a text. Nothing of the text is repeated in a failure.
pub(super) fn secret(text: &str, password: Option<String>) -> Result<SecretKey, Failure> {
    // Its first line is a comment, which may be missing where only the key itself was kept.
    let text = text.trim();
    let text = if text.contains('\n') { text.to_owned() } else { format!("untrusted comment: \n{text}") };
    let boxed = || SecretKeyBox::from_string(&text).map_err(|_| unreadable());
    if let Ok(open) = boxed()?.into_unencrypted_secret_key() {
        return Ok(open);
    }
    if let Some(open) = without_checksum(&text) {
        return Ok(open);
    }
    if password.is_none() && !std::io::stdin().is_terminal() {
        return Err(Failure::new(format!(
            "the key cannot be used as it is: if it has a password, give it in {PASSWORD}, or run this in a terminal"
        )));
    }
    boxed()?.into_secret_key(password).map_err(|_| unreadable())
}

/// A key without a password as the program `minisign -G -W` writes it: it leaves out the checksum, which the library asks
/// for. The layout is that of minisign: two bytes each for the algorithms of signature, password and checksum, 48 for the
/// password, 8 for the number, 64 for the key, 32 for the checksum.
fn without_checksum(text: &str) -> Option<SecretKey> {
    let bytes = Base64::decode_to_vec(text.lines().nth(1)?, None).ok()?;
    let open = bytes.len() == 158 && bytes[..6] == *b"Ed\0\0B2" && bytes[126..].iter().all(|&byte| byte == 0);
    open.then(|| SecretKey::from_bytes(&bytes).ok())?
}

fn unreadable() -> Failure {
    Failure::new("this is no secret key of minisign, or the password is not the one that it is protected by")
}

/// Signs the sums of a folder, and gives the public key. Sums that do not fit the folder are not signed.
pub(super) fn sign(folder: &Path, secret: &SecretKey) -> Result<String, Failure> {
    let failed = |error: minisign::PError| Failure::new(format!("signing: {error}"));
    let text = step::read_text(&folder.join(SUMS))?;
    let differences = sums::differences(folder, &sums::parse(&text)?)?;
    if !differences.is_empty() {
        let differences = differences.join("; ");
        return Err(Failure::new(format!("nothing was signed, for the folder is not what {SUMS} says: {differences}")));
    }
    let public = PublicKey::from_secret_key(secret).map_err(failed)?;
    let comment = Some(format!("file:{SUMS}"));
    let signature = minisign::sign(Some(&public), secret, text.as_bytes(), comment.as_deref(), None).map_err(failed)?;
    step::write(&folder.join(SIGNATURE), signature.into_string())?;
    Ok(public.to_base64())
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::super::sha256;
    use super::*;

    fn keys() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().expect("there is randomness")
    }

    #[test]
    fn a_key_without_a_password_is_read_with_and_without_its_comment() {
        let keys = keys();
        let text = keys.sk.to_box(None).expect("it is boxed").into_string();
        let public = |text: &str| {
            secret(text, None).and_then(|secret| {
                PublicKey::from_secret_key(&secret)
                    .map(|key| key.to_base64())
                    .map_err(|error| Failure::new(error.to_string()))
            })
        };
        assert_eq!(public(&text).expect("it is a key"), keys.pk.to_base64());
        let bare = text.lines().nth(1).expect("the key is the second line");
        assert_eq!(public(bare).expect("it is a key"), keys.pk.to_base64());
    }

    #[test]
    fn a_key_with_a_password_needs_the_right_one() {
        let keys = KeyPair::generate_encrypted_keypair(Some("right".to_owned())).expect("there is randomness");
        let text = keys.sk.to_box(None).expect("it is boxed").into_string();
        secret(&text, Some("right".to_owned())).expect("it is the password");
        let failure = secret(&text, Some("wrong".to_owned())).expect_err("it is not the password");
        let key = text.lines().nth(1).expect("the key is the second line");
        assert!(!failure.message.contains(key) && !failure.message.contains("wrong"), "{failure}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let long = "A".repeat(10_000);
        for text in ["", "confidential", "untrusted comment: x\nconfidential", "a\n\nb", "\u{0}\n\u{0}", &long] {
            let failure = secret(text, Some(String::new())).expect_err(text);
            assert!(!failure.message.contains("confidential"), "{failure}");
        }
    }

    #[test]
    fn sums_that_do_not_fit_the_folder_are_not_signed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        step::write(&folder.path().join("a"), "a").expect("written");
        step::write(&folder.path().join(SUMS), format!("{}  a\n", sha256(b"b"))).expect("written");
        let failure = sign(folder.path(), &keys().sk).expect_err("the sums are wrong");
        assert!(failure.message.contains("a is not what it was"), "{failure}");
        assert!(!folder.path().join(SIGNATURE).exists());
    }
}

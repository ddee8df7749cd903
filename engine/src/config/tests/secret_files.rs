//! Files with secrets that every user of the machine can read are warned of.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thicket_testkit::certificates::{Authority, Validity};

use super::*;

/// A folder that every user can enter.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    set_mode(folder.path(), 0o711);
    folder
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    set_mode(&path, 0o644);
    path
}

/// Returns the keys that are warned of.
fn warned(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let loaded = load_with(text, variables).unwrap();
    let warnings = loaded.secret_files.iter().filter_map(SecretFile::warning);
    warnings.map(|warning| warning.split_once(':').unwrap().0.to_owned()).collect()
}

#[test]
fn every_kind_of_secret_is_warned_of_and_no_other_file() {
    let folder = open_folder();
    let secret = write(folder.path(), "secret", "0123456789abcdef\n");
    let template = write(folder.path(), "template", "{}");
    let url = write(folder.path(), "url", "redis://u:hunter2@h\n");
    let files = Authority::new(folder.path(), "ca").unwrap();
    let files = files.client(folder.path(), "engine", Validity::Now).unwrap();
    let (cert, key) = (files.cert.display(), files.key.display());
    set_mode(&files.key, 0o644);
    set_mode(&files.cert, 0o644);
    let text = format!(
        "[http]\noperate_token_file = {secret:?}\ntls = {{ cert = '{cert}', key = '{key}' }}\n\
         [mqtt]\nurl = \"mqtts://h\"\nusername_file = {secret:?}\npassword_file = {secret:?}\ntls = {{ cert = '{cert}', key = '{key}' }}\n\
         [postgres]\nurl = \"postgres://h/d?sslmode=verify-full&sslcert={cert}&sslkey={key}\"\n\
         [[notify.routes]]\nname = \"a\"\nurl = \"https://h/x\"\ntoken_file = {secret:?}\ntemplate_file = {template:?}\n"
    );
    let variables = [("THICKET__REDIS__URL_FILE", url.to_str().unwrap())];
    let expected = [
        "mqtt.password_file",
        "notify.routes[0].token_file",
        "THICKET__REDIS__URL_FILE",
        "mqtt.tls.key",
        "postgres.tls.key",
        "http.tls.key",
        "http.operate_token_file",
    ];
    assert_eq!(warned(&text, &variables), expected);
    // Nobody else can enter the folder.
    set_mode(folder.path(), 0o700);
    assert_eq!(warned(&text, &variables), [""; 0]);
}

#[test]
fn a_file_that_a_group_may_read_is_not_warned_of() {
    let folder = open_folder();
    let secret = write(folder.path(), "secret", "0123456789abcdef\n");
    let text = format!("[http]\nread_token_file = {secret:?}\n");
    assert_eq!(warned(&text, &[]), ["http.read_token_file"]);
    set_mode(&secret, 0o640);
    assert_eq!(warned(&text, &[]), [""; 0]);
    // A link says nothing about the file.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    assert_eq!(warned(&format!("[http]\nread_token_file = {link:?}\n"), &[]), [""; 0]);
}

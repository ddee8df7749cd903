//! `thicket up`: the README's five lines, restarts with the same data, passwords, and what it says
//! when it cannot start.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::skipped;

use crate::deployment::{Deployment, LIMIT, logs, shell};
use crate::support::{BINARY, stderr, stdout};

#[test]
fn it_starts_again_with_the_same_rows_ports_and_settings() {
    let deployment = Deployment::new();
    let said = deployment.up();
    // The line that it prints works in any terminal.
    let publish =
        said.lines().find_map(|line| line.trim_start().strip_prefix("publish ")).expect("a line to publish");
    assert!(shell(publish).status().unwrap().success(), "{publish}");
    let export = format!("thicket export --data {}", deployment.data.display());
    assert!(said.contains(&export), "how to move: {said}");
    deployment.until("SELECT max(value) FROM reading_values WHERE sensor = 'kitchen'", "21.5");
    let publish = "mosquitto_pub -q 1 -t sensors/kitchen -m";
    assert!(deployment.shell(&format!("{publish} '{{\"temperature\":21.5}}'")).status.success());
    let rows = "SELECT count(*), max(value) FROM reading_values WHERE sensor = 'kitchen'";
    deployment.until(rows, "2|21.5");

    let config = deployment.data.join("thicket.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[mqtt]\n", "[mqtt]\ntopics = [\"sensors/#\", \"plant/#\"]\n"))
        .unwrap();
    let ports = std::fs::read(deployment.data.join("ports.json")).unwrap();
    // A second start finds the first.
    assert!(deployment.up().contains("already"));
    let down = deployment.thicket(&["down"]);
    let stopped = stdout(&down);
    assert!(stopped.contains("the data stays") && stopped.contains(&export), "{stopped}{}", stderr(&down));
    assert_eq!(deployment.thicket(&["up", "--status"]).status.code(), Some(1));

    // Its ports are kept, and need not be named again.
    let again = deployment.thicket(&["up"]);
    assert!(again.status.success(), "{}{}", stderr(&again), logs(&deployment.data));
    assert_eq!(std::fs::read(deployment.data.join("ports.json")).unwrap(), ports);
    assert!(std::fs::read_to_string(&config).unwrap().contains("plant/#"));
    assert!(deployment.shell(&format!("{publish} '{{\"temperature\":22.5}}'")).status.success());
    deployment.until(rows, "3|22.5");
    let status = deployment.thicket(&["up", "--status"]);
    assert!(status.status.success(), "{}", stdout(&status));
    assert_eq!(stdout(&status).matches(" runs ").count(), 5, "{}", stdout(&status));
    let ledger = deployment.shell("thicket status");
    assert!(stdout(&ledger).contains("3 delivered"), "{}{}", stdout(&ledger), stderr(&ledger));
}

/// As a service manager starts and stops it.
#[test]
fn in_the_foreground_it_says_where_to_publish_and_sigterm_stops_it() {
    let mut deployment = Deployment::new();
    deployment.data.set_file_name("my data");
    let mut up = Command::new(BINARY);
    up.args(["up", "--foreground", "--free-ports"]).env("THICKET_DATA", &deployment.data);
    let up = up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !stdout(&deployment.thicket(&["up", "--status"])).contains("publish ") {
        assert!(started.elapsed() < LIMIT);
    }
    assert!(deployment.shell("mosquitto_pub -q 1 -t sensors/a -m 1").status.success());
    deployment.until("SELECT count(*) FROM readings", "1");
    let pid = up.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let up = up.wait_with_output().unwrap();
    let (said, errors) = (stdout(&up), stderr(&up));
    assert!(up.status.success(), "{said}{errors}");
    assert!(said.contains("  publish ") && said.contains("  devices "), "{said}{errors}");
    // The commands that it prints are words of the shell.
    let (_, after) = said.split_once("password: ").unwrap();
    let password = shell(after.lines().next().unwrap()).output().unwrap();
    let expected = std::fs::read_to_string(deployment.data.join("device-password")).unwrap();
    assert_eq!(stdout(&password), expected, "{said}{}", stderr(&password));
    let stop = format!("thicket down --data '{}'", deployment.data.display());
    assert!(said.contains(&stop), "{said}");
    let in_order = ["thicket: ready", "Ctrl-C stops it", "stopping the engine", "thicket: stopped"];
    let found: Vec<Option<usize>> = in_order.iter().map(|text| errors.find(text)).collect();
    assert!(found.is_sorted() && found[0].is_some(), "{found:?}: {errors}");
    assert!(stdout(&deployment.thicket(&["up", "--status"])).contains("no deployment runs"));
    deployment.up();
    deployment.until("SELECT count(*) FROM readings", "1");
}

#[test]
fn a_server_that_is_killed_is_started_again() {
    let deployment = Deployment::new();
    deployment.up();
    let record = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(deployment.data.join("up.json")).unwrap()).unwrap()
    };
    let first = record();
    let redis =
        first["processes"].as_array().unwrap().iter().find(|process| process["name"] == "redis").unwrap();
    let killed = Command::new("kill").args(["-KILL", &redis["pid"].to_string()]).status().unwrap();
    assert!(killed.success());
    let started = Instant::now();
    while record()["processes"].as_array().unwrap().iter().all(|process| process["restarts"] == 0) {
        assert!(started.elapsed() < LIMIT, "{}", logs(&deployment.data));
    }
    assert!(deployment.shell("mosquitto_pub -q 1 -t sensors/a -m 1").status.success());
    deployment.until("SELECT count(*) FROM readings", "1");
}

#[test]
fn a_taken_port_is_named_and_leaves_no_process_behind() {
    let mut deployment = Deployment::new();
    deployment.data.set_file_name("my data");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let up = deployment.thicket(&["up", "--free-ports", "--redis-port", &port]);
    assert_eq!(up.status.code(), Some(1));
    assert!(stderr(&up).contains(&format!("the port {port} of redis is taken")), "{}", stderr(&up));
    let remedy = format!("`thicket up --data '{}' --free-ports`", deployment.data.display());
    assert!(stderr(&up).contains(&remedy), "{}", stderr(&up));
    assert_eq!(deployment.thicket(&["up", "--status"]).status.code(), Some(1));
    assert!(stdout(&deployment.thicket(&["down"])).contains("no deployment runs"));
}

#[test]
fn missing_packages_are_named_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Without PATH and the usual directories there is no way to hide an installed server, so this
    // needs a mount namespace, which only root can make.
    let script = format!(
        "mount --bind {empty} /usr/lib/postgresql && mount --bind /dev/null \"$(command -v redis-server)\" && \
         exec {BINARY} up --data {data}",
        empty = folder.path().display(),
        data = folder.path().join("data").display(),
    );
    let up = Command::new("unshare").args(["--mount", "bash", "-euc", &script]).output();
    let Some(up) = up.ok().filter(|up| !stderr(up).contains("unshare")) else {
        skipped("missing packages are named", "this user cannot hide installed servers in a mount namespace");
        return;
    };
    let said = stderr(&up);
    assert_eq!(up.status.code(), Some(1), "{said}");
    let remedy = "`sudo apt-get install --no-install-recommends redis-server postgresql`";
    assert!(said.contains(remedy), "{said}");
}

/// Returns the lines of the README's section on `thicket up`.
fn readme_lines() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let section = text.split("## Your own sensor in five lines").nth(1).expect("the section of the README");
    let code = section.split("```sh\n").nth(1).and_then(|rest| rest.split("\n```").next());
    code.expect("the lines of the README").to_owned()
}

/// The lines use the default ports. A network namespace of its own has them free.
#[test]
fn the_five_lines_of_the_readme_do_what_they_say() {
    let lines = readme_lines();
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let deployment = Deployment::new();
    let temporary = deployment.data.with_file_name("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::fs::set_permissions(
        temporary.parent().unwrap(),
        std::os::unix::fs::PermissionsExt::from_mode(0o711),
    )
    .unwrap();
    // The lines run as they are written. On a machine that runs many tests, a second is ten.
    let slowly = "sleep() { command sleep \"${1}0\"; }";
    let script = format!("ip link set lo up\n{slowly}\n{lines}\nthicket down");
    let binaries = Path::new(BINARY).parent().unwrap();
    let run = Command::new("timeout")
        .args(["--kill-after=10", "180", "unshare", "--net", "bash", "-euc", &script])
        .env("PATH", format!("{}:/usr/sbin:{}", binaries.display(), std::env::var("PATH").unwrap()))
        .env("THICKET_DATA", &deployment.data)
        // Ports in use are locked by files in this directory, which other tests share.
        .env("TMPDIR", &temporary)
        .output();
    let cannot = |said: &str| said.contains("unshare: ") || said.contains("ip: command not found");
    let Some(run) = run.ok().filter(|run| !cannot(&stderr(run))) else {
        skipped(
            "the five lines of the README",
            "this user cannot make a network namespace with unshare and ip",
        );
        return;
    };
    let (said, errors) = (stdout(&run), stderr(&run));
    assert!(run.status.success(), "{said}{errors}{}", logs(&deployment.data));
    assert!(said.contains("kitchen | ") && said.contains("21.5"), "{said}{errors}");
    assert!(said.contains("1 delivered"), "{said}{errors}");
}

/// Returns what `script` says, which must fail.
fn refused(script: &str) -> String {
    let run = shell(script).output().unwrap();
    let said = format!("{}{}", stdout(&run), stderr(&run));
    assert!(!run.status.success(), "{script}: {said}");
    said
}

#[test]
fn nobody_reads_or_writes_without_a_password_that_only_the_user_can_read() {
    use std::os::unix::fs::MetadataExt as _;

    let deployment = Deployment::new();
    deployment.up();
    let [mqtt, redis, postgres] = ["mqtt", "redis", "postgres"].map(|name| deployment.port(name));
    let said = refused(&format!("mosquitto_pub -p {mqtt} -q 1 -t sensors/a -m 1"));
    assert!(said.contains("not authorised"), "{said}");
    refused(&format!("timeout 60 mosquitto_sub -p {mqtt} -t '#' -C 1"));
    refused(&format!("psql -w -h 127.0.0.1 -p {postgres} -U thicket -c 'SELECT 1' thicket"));
    let said = stdout(&shell(&format!("redis-cli -p {redis} KEYS '*'")).output().unwrap());
    assert!(said.contains("NOAUTH"), "{said}");

    let secrets = ["password", "device-password", "thicket.toml", "clients/mosquitto_pub"];
    for file in secrets {
        let mode = std::fs::metadata(deployment.data.join(file)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // A device can publish, and is not the user of the engine.
    let [engine, device] = ["password", "device-password"]
        .map(|file| std::fs::read_to_string(deployment.data.join(file)).unwrap());
    assert_ne!(engine, device);
    assert!(deployment.shell("mosquitto_pub -q 1 -t sensors/a -m 1").status.success());
    deployment.until("SELECT count(*) FROM readings", "1");
}

/// An earlier version kept its servers without passwords.
#[test]
fn the_data_of_a_deployment_without_passwords_is_kept_and_gets_them() {
    let deployment = Deployment::new();
    deployment.up();
    assert!(deployment.shell("mosquitto_pub -q 1 -t sensors/a -m 1").status.success());
    deployment.until("SELECT count(*) FROM readings", "1");
    assert!(deployment.thicket(&["down"]).status.success());
    let file = |name: &str| deployment.data.join(name);
    let password = std::fs::read_to_string(file("password")).unwrap();
    let config = std::fs::read_to_string(file("thicket.toml")).unwrap();
    let open = [format!("thicket:{}@", password.trim()), format!(":{}@", password.trim())];
    let config = open.iter().fold(config, |text, login| text.replace(login, ""));
    let is_login = |line: &&str| line.starts_with("username") || line.starts_with("password_file");
    let config: String =
        config.lines().filter(|line| !is_login(line)).flat_map(|line| [line, "\n"]).collect();
    assert!(!config.contains("password"), "{config}");
    std::fs::write(file("thicket.toml"), config).unwrap();
    for name in ["password", "device-password", "postgres/data/thicket.password"] {
        std::fs::remove_file(file(name)).unwrap();
    }
    deployment.up();
    assert_ne!(std::fs::read_to_string(file("password")).unwrap(), password);
    assert!(deployment.shell("mosquitto_pub -q 1 -t sensors/a -m 2").status.success());
    deployment.until("SELECT count(*) FROM readings", "2");
}

/// Starts the deployment with a Redis that loads a key in half a millisecond.
fn slow_redis(deployment: &Deployment) -> Command {
    let folder = deployment.data.with_file_name("slow");
    std::fs::create_dir_all(&folder).unwrap();
    let script = "#!/bin/sh\nexec /usr/bin/redis-server \"$@\" --key-load-delay 500\n";
    let file = folder.join("redis-server");
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut up = Command::new(BINARY);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    up.arg("up").env("THICKET_DATA", &deployment.data).env("PATH", path);
    up.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    up
}

#[test]
fn a_redis_that_loads_for_long_is_waited_for_and_ctrl_c_ends_the_wait() {
    let deployment = Deployment::new();
    deployment.up();
    // Ten seconds of loading: a report comes after five.
    let redis = format!("redis-cli -p {}", deployment.port("redis"));
    let filled = deployment.shell(&format!("seq 20000 | sed 's/.*/SET other:& x/' | {redis} --pipe"));
    assert!(filled.status.success(), "{}{}", stdout(&filled), stderr(&filled));
    assert!(deployment.thicket(&["down"]).status.success());

    let interrupted = slow_redis(&deployment).spawn().unwrap();
    let started = Instant::now();
    while stdout(&deployment.thicket(&["up", "--status"])).contains("no deployment") {
        assert!(started.elapsed() < LIMIT);
    }
    let pid = interrupted.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let interrupted = interrupted.wait_with_output().unwrap();
    let said = stderr(&interrupted);
    assert_eq!(interrupted.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped before it was ready; the data stays"), "{said}");
    assert_eq!(deployment.thicket(&["up", "--status"]).status.code(), Some(1));

    let mut waiting = slow_redis(&deployment).spawn().unwrap();
    let started = Instant::now();
    while !stdout(&deployment.thicket(&["up", "--status"])).contains("is starting") {
        assert!(started.elapsed() < LIMIT);
    }
    // A second start waits for the first.
    let second = deployment.thicket(&["up"]);
    assert!(second.status.success(), "{}", stderr(&second));
    assert!(stderr(&second).contains("another process starts"), "{}", stderr(&second));
    assert!(waiting.wait().unwrap().success());
    let said = stderr(&waiting.wait_with_output().unwrap());
    assert!(said.contains("redis is loading its data"), "{said}");
    let keys = deployment.shell(&format!("{redis} --raw EXISTS other:1 other:20000"));
    assert_eq!(stdout(&keys).trim(), "2", "{}", stderr(&keys));
}

#[test]
fn a_machine_that_loses_power_starts_again_with_every_row() {
    let deployment = Deployment::new();
    deployment.up();
    // A broker that is killed delivers again what it had not yet saved as acknowledged. Readings with a
    // time of their own are stored once all the same.
    let start = now_seconds() - 1_000;
    let publish = |from: i64| {
        let readings = format!("seq {from} {} | sed 's/.*/{{\"ts\":&,\"x\":1}}/'", from + 99);
        deployment.shell(&format!("{readings} | mosquitto_pub -q 1 -t sensors/kitchen -l"))
    };
    assert!(publish(start).status.success());
    let rows = "SELECT 'rows ' || count(*) FROM readings";
    deployment.until(rows, "rows 100");
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(deployment.data.join("up.json")).unwrap()).unwrap();
    let servers = record["processes"].as_array().unwrap().iter().map(|process| &process["pid"]);
    let pids: Vec<String> = servers.chain([&record["pid"]]).map(ToString::to_string).collect();
    // The children of PostgreSQL end with it.
    assert!(Command::new("kill").arg("-KILL").args(pids).status().unwrap().success());
    let started = Instant::now();
    while !stdout(&deployment.thicket(&["up", "--status"])).contains("no deployment runs") {
        assert!(started.elapsed() < LIMIT);
    }
    deployment.up();
    let published = publish(start + 100);
    assert!(published.status.success(), "{}{}", stderr(&published), logs(&deployment.data));
    deployment.until(rows, "rows 200");
}

#[test]
fn a_running_deployment_does_not_hide_that_other_ports_are_wanted() {
    let deployment = Deployment::new();
    deployment.up();
    let other = deployment.thicket(&["up", "--listen", "0.0.0.0"]);
    assert_eq!(other.status.code(), Some(1), "{}", stdout(&other));
    assert!(stderr(&other).contains("stop it with `thicket down"), "{}", stderr(&other));
    assert!(deployment.thicket(&["down"]).status.success());
    let nowhere = deployment.thicket(&["up", "--listen", "192.0.2.7"]);
    assert!(stderr(&nowhere).contains("192.0.2.7"), "{}", stderr(&nowhere));
    let every = deployment.thicket(&["up", "--listen", "0.0.0.0"]);
    assert!(every.status.success(), "{}{}", stdout(&every), stderr(&every));
    assert!(stdout(&every).contains("user device"), "{}", stdout(&every));
    let password = std::fs::read_to_string(deployment.data.join("device-password")).unwrap();
    let address = "$(hostname -I | cut -d' ' -f1)";
    let port = deployment.port("mqtt");
    let publish = format!(
        "mosquitto_pub -h \"{address}\" -p {port} -u device -P {} -q 1 -t sensors/a -m 1",
        password.trim()
    );
    let published = shell(&publish).output().unwrap();
    assert!(published.status.success(), "{}", stderr(&published));
    deployment.until("SELECT count(*) FROM readings", "1");
}

#[test]
fn of_two_starts_at_once_one_starts_the_deployment_and_both_wait_for_it() {
    let deployment = Deployment::new();
    let starts = [(); 2].map(|()| {
        let mut up = Command::new(BINARY);
        up.args(["up", "--free-ports"]).env("THICKET_DATA", &deployment.data);
        up.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    });
    for start in starts {
        let up = start.wait_with_output().unwrap();
        assert!(up.status.success(), "{}{}", stderr(&up), logs(&deployment.data));
        assert!(stdout(&up).contains("mosquitto_pub"), "{}", stdout(&up));
    }
}

#[test]
fn a_directory_that_cannot_be_written_and_one_without_a_deployment_are_named() {
    let deployment = Deployment::new();
    let nowhere = deployment.thicket(&["up", "--data", "/proc/thicket"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("cannot write into /proc/thicket; name"), "{}", stderr(&nowhere));
    for command in [["up", "--logs"], ["up", "--env"]] {
        let none = deployment.thicket(&command);
        assert_eq!(none.status.code(), Some(1));
        assert!(stderr(&none).contains("`thicket up"), "{}", stderr(&none));
    }
    std::fs::create_dir_all(&deployment.data).unwrap();
    let config = deployment.data.join("thicket.toml");
    std::fs::write(&config, "[http]\nlisten = = 1\n").unwrap();
    let broken = stderr(&deployment.thicket(&["up", "--env"]));
    assert!(broken.contains(&format!("{}:2:10: ", config.display())), "{broken}");
    assert_eq!(broken.trim_end().lines().count(), 1, "{broken}");
    assert!(!broken.contains("\\n"), "{broken}");
}

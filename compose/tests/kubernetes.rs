//! Checks the manifests in `kubernetes/` without a cluster: that they fit each other, the engine's
//! configuration and its HTTP server. `kubectl kustomize` and `kubernetes-validate`, which checks
//! against the published schemas, are used where they are installed (`make schemas`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

const BASE: &str = "kubernetes/base";
const AUTOSCALING: &str = "kubernetes/autoscaling";
const MIGRATE: &str = "kubernetes/migrate.yaml";
/// Names the configuration file.
const CONFIG: &str = "THICKET_CONFIG";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the manifests of a kustomization by kind.
fn manifests(folder: &str) -> BTreeMap<String, Value> {
    let kustomization = yaml(&format!("{folder}/kustomization.yaml"));
    let resources = kustomization["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let files = resources.filter(|name| Path::new(name).extension().is_some());
    let parsed = files.map(|file| yaml(&format!("{folder}/{file}")));
    parsed.map(|manifest| (manifest["kind"].as_str().unwrap().to_owned(), manifest)).collect()
}

/// The reference of all keys of the configuration.
fn reference() -> String {
    read("../engine/src/config/default.toml")
}

/// Whether the configuration has a key, such as `postgres.url`.
fn is_key(reference: &str, key: &str) -> bool {
    let (section, name) = key.rsplit_once('.').unwrap();
    let mut current = "";
    reference.lines().any(|line| {
        if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = heading;
        }
        current == section && line.split(" =").next() == Some(name)
    })
}

/// Prints what is skipped. Not by `eprintln`, which the test's harness hides.
fn skipped(what: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {what}").unwrap();
}

#[test]
fn every_selector_selects_the_engines() {
    let manifests = manifests(BASE);
    let deployment = &manifests["Deployment"];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert!(labels.as_object().unwrap().len() == 1, "{labels}");
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(&manifests["Service"]["spec"]["selector"], labels);
    let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(&spread["labelSelector"]["matchLabels"], labels);
    // The job is no engine: no budget and no service may count it.
    assert_ne!(&yaml(MIGRATE)["spec"]["template"]["metadata"]["labels"], labels);
    let scaled = &manifests_of_autoscaling()["spec"]["scaleTargetRef"];
    assert_eq!(scaled["name"], deployment["metadata"]["name"]);
    assert_eq!(scaled["kind"], deployment["kind"]);
}

fn manifests_of_autoscaling() -> Value {
    manifests(AUTOSCALING).remove("HorizontalPodAutoscaler").unwrap()
}

#[test]
fn ports_and_probes_are_those_of_the_engine() {
    let manifests = manifests(BASE);
    let container = &manifests["Deployment"]["spec"]["template"]["spec"]["containers"][0];
    let port = &container["ports"][0];
    let listen = format!("listen = \"0.0.0.0:{}\"", port["containerPort"]);
    assert!(read("kubernetes/base/thicket.toml").contains(&listen), "{listen}");
    let http = read("../engine/src/http.rs");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], port["name"], "{probe}");
        assert!(http.contains(&format!("resource({})", get["path"])), "{probe}: {get}");
    }
    let service = &manifests["Service"]["spec"]["ports"][0];
    assert_eq!((&service["targetPort"], &service["port"]), (&port["name"], &port["containerPort"]));
    let policy = &manifests["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0];
    assert_eq!(policy["port"], port["containerPort"]);
    let metadata = &manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(metadata["prometheus.io/port"], json!(port["containerPort"].to_string()));
}

#[test]
fn every_setting_exists_and_every_secret_is_mounted() {
    let reference = reference();
    for manifest in [manifests(BASE).remove("Deployment").unwrap(), yaml(MIGRATE)] {
        let pod = &manifest["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let mounts = container["volumeMounts"].as_array().unwrap();
        let secrets =
            pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "secrets").unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == "secrets").unwrap();
        let items: Vec<String> = secrets["secret"]["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                format!("{}/{}", mount["mountPath"].as_str().unwrap(), item["path"].as_str().unwrap())
            })
            .collect();
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            if name == CONFIG {
                continue;
            }
            let name = name.strip_prefix("THICKET__").unwrap();
            let key = name.replace("__", ".").to_lowercase();
            let of_file = key.strip_suffix("_file").unwrap_or(&key);
            assert!(is_key(&reference, of_file), "{key} is no setting");
            // Without the key in the secret, the variable is not set.
            let secret = &variable["valueFrom"]["secretKeyRef"];
            let is_optional = secret["optional"] == true && secret["name"] == secrets["secret"]["secretName"];
            let is_mounted = variable["value"].as_str().is_some_and(|path| items.contains(&path.to_owned()));
            assert!(is_optional || is_mounted, "{variable}");
        }
        assert!(mounts.iter().all(|mount| {
            pod["volumes"].as_array().unwrap().iter().any(|volume| volume["name"] == mount["name"])
        }));
    }
    let settings = read("kubernetes/base/thicket.toml");
    let mut section = "";
    for line in settings.lines() {
        if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = heading;
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(is_key(&reference, &format!("{section}.{name}")), "{section}.{name} is no setting");
        }
    }
}

/// `kubectl exec` runs commands beside the engine. They have its environment, and not its arguments.
#[test]
fn every_command_in_the_pod_reads_the_configuration_of_the_engine() {
    let deployment = manifests(BASE).remove("Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["args"], json!(["thicket", "run"]));
    let of_name = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone()
    };
    let file = of_name(&container["env"], CONFIG)["value"].take();
    let mount = of_name(&container["volumeMounts"], "configuration")["mountPath"].take();
    let map = &yaml(&format!("{BASE}/kustomization.yaml"))["configMapGenerator"][0];
    assert_eq!(of_name(&pod["volumes"], "configuration")["configMap"]["name"], map["name"]);
    let (mount, name) = (mount.as_str().unwrap(), map["files"][0].as_str().unwrap());
    assert_eq!(file, format!("{mount}/{name}"));
}

/// Otherwise each `kubectl apply` would undo what the autoscaler has done.
#[test]
fn the_autoscaler_alone_decides_how_many_engines_run() {
    let patches = &yaml(&format!("{AUTOSCALING}/kustomization.yaml"))["patches"];
    let scaled = &manifests_of_autoscaling()["spec"]["scaleTargetRef"];
    assert_eq!(patches[0]["target"], json!({"kind": scaled["kind"], "name": scaled["name"]}));
    let patch: Value = serde_saphyr::from_str(patches[0]["patch"].as_str().unwrap()).unwrap();
    assert_eq!(patch, json!([{"op": "remove", "path": "/spec/replicas"}]));
    for (folder, has_number) in [(BASE, true), (AUTOSCALING, false)] {
        let Ok(built) = Command::new("kubectl").arg("kustomize").arg(path(folder)).output() else {
            skipped("the number of engines that kustomize builds: kubectl is not installed");
            return;
        };
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let built = String::from_utf8(built.stdout).unwrap();
        assert!(built.contains("kind: Deployment"), "{built}");
        assert_eq!(built.lines().any(|line| line.starts_with("  replicas:")), has_number, "{built}");
    }
}

/// Returns the port of a URL; `None` if it names none, and its scheme has none that is usual.
fn port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let named = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let usual = match scheme {
        "https" => Some(443),
        "smtps" => Some(465),
        "mqtt" => Some(1883),
        "mqtts" => Some(8883),
        _ => None,
    };
    named.or(usual)
}

#[test]
fn the_network_policy_lets_engines_reach_what_the_documents_name() {
    let policy = manifests(BASE).remove("NetworkPolicy").unwrap();
    let rules = policy["spec"]["egress"].as_array().unwrap();
    let open: Vec<u64> = rules
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .filter(|port| port["protocol"] == "TCP")
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    let mut checked = 0;
    // Sets `url = "…"`, or names a receiver in the table of webhooks.
    for text in
        ["docs/notifications.md", "compose/kubernetes/README.md", "compose/kubernetes/base/thicket.toml"]
    {
        let text = read(&format!("../{text}"));
        for url in text.split(['"', '`', ' ', '\n']).filter(|word| word.contains("://")) {
            let is_of_another = url.starts_with("http://") || url.ends_with(":25");
            let Some(port) = port(url).filter(|_| !is_of_another) else { continue };
            assert!(open.contains(&u64::from(port)), "{url}: {open:?}");
            checked += 1;
        }
    }
    assert!(checked > 6, "{checked}");
}

/// The lines of the README name a registry, and take the files from here.
#[test]
fn the_overlay_of_the_readme_sets_image_namespace_and_configuration() {
    let readme = read("kubernetes/README.md");
    let overlay = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("deployment");
    let mut copy = Command::new("cp");
    copy.args(["--recursive", "--parents", "compose/kubernetes"]).arg(root.path()).current_dir(path(".."));
    assert!(copy.status().unwrap().success());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("kustomization.yaml"), overlay).unwrap();
    fs::write(folder.join("thicket.toml"), "# of the user\n").unwrap();
    let Ok(built) = Command::new("kubectl").arg("kustomize").arg(&folder).output() else {
        skipped("the overlay of the README: kubectl is not installed");
        return;
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let built = String::from_utf8(built.stdout).unwrap();
    let image = concat!("image: REGISTRY/thicket:", env!("CARGO_PKG_VERSION"));
    for text in [image, "namespace: thicket", "# of the user"] {
        assert!(built.contains(text), "{text}: {built}");
    }
    assert!(!built.contains("mqtt://mosquitto:1883"), "{built}");
}

#[test]
fn images_have_the_version_of_the_sources() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(yaml("kubernetes/base/kustomization.yaml")["images"][0]["newTag"], version);
    let image = &yaml(MIGRATE)["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &format!("thicket:{version}"));
}

#[test]
fn pods_run_without_privileges() {
    for manifest in [manifests(BASE).remove("Deployment").unwrap(), yaml(MIGRATE)] {
        let pod = &manifest["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        let user = pod["securityContext"]["runAsUser"].to_string();
        assert!(read("Dockerfile").contains(&format!("USER {user}:{user}")), "{user}");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
}

#[test]
fn stops_and_scales_fit_the_defaults_of_the_engine() {
    let reference = reference();
    let number = |start: &str| -> i64 {
        let line = reference.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        line.trim_matches('"').trim_end_matches('s').parse().unwrap()
    };
    let grace = &manifests(BASE)["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    assert!(grace.as_i64().unwrap() > number("deadline = "));
    let autoscaler = manifests_of_autoscaling();
    assert!(autoscaler["spec"]["maxReplicas"].as_i64().unwrap() <= number("partitions = "));
    let metric = autoscaler["spec"]["metrics"][0]["pods"]["metric"]["name"].as_str().unwrap();
    let name = metric.strip_prefix("thicket_").unwrap();
    assert!(read("../actors/src/metrics.rs").contains(&format!("\"{name}\"")), "{metric}");
    assert!(read("kubernetes/autoscaling/prometheus-adapter.yaml").contains(metric));
}

/// The validator of `make schemas`, or the one that is installed.
fn validator() -> Command {
    let own = path("../target/kubernetes-validate/bin/kubernetes-validate");
    if own.exists() { Command::new(own) } else { Command::new("kubernetes-validate") }
}

#[test]
fn the_published_schemas_accept_the_manifests_and_what_kustomize_builds() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![path(MIGRATE)];
    for (name, source) in [("base", BASE), ("autoscaling", AUTOSCALING)] {
        let resources = yaml(&format!("{source}/kustomization.yaml"))["resources"].take();
        let names: Vec<String> = serde_json::from_value(resources).unwrap();
        let manifests = names.iter().filter(|name| Path::new(name).extension().is_some());
        files.extend(manifests.map(|name| path(source).join(name)));
        let Ok(built) = Command::new("kubectl").arg("kustomize").arg(path(source)).output() else {
            skipped(&format!("what kustomize builds from {name}: kubectl is not installed"));
            continue;
        };
        assert!(built.status.success(), "{source}: {}", String::from_utf8_lossy(&built.stderr));
        let file = folder.path().join(format!("{name}.yaml"));
        fs::write(&file, &built.stdout).unwrap();
        files.push(file);
    }
    for file in files {
        let Ok(checked) = validator().arg("--strict").arg(&file).output() else {
            skipped("the schemas: kubernetes-validate is not installed (make schemas)");
            return;
        };
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{}: {said}", file.display());
    }
}

//! A device that publishes through the whole run and remembers what the broker confirmed.

use std::process::Command;

use crate::{
    docker::{docker, shown},
    project::{Project, remove},
};

/// A replay outside of the project, on the published port: it outlives `down`.
pub(crate) struct Witness {
    name: String,
    volume: String,
    image: String,
}

impl Witness {
    /// Starts to publish. Needs the sounds of the project's replay.
    pub(crate) fn start(project: &Project, image: &str) -> Self {
        let name = format!("{}-witness", project.name());
        let volume = format!("{}:/data", project.resource("replay-data"));
        let broker = format!("mqtt://127.0.0.1:{}", project.mqtt_port);
        let container = ["run", "--detach", "--name", &name, "--network", "host", "--volume", &volume, image];
        let replay = ["thicket-loadtest", "replay", "--data", "/data/city", "--seed", "3", "--sensors", "10"];
        let live = ["--frames", "0", "--live", "--topic-prefix", "sensors/witness/"];
        let records = ["--manifest", "/data/witness", "--mqtt", &broker];
        docker(container.iter().chain(&replay).chain(&live).chain(&records));
        Self { name, volume, image: image.to_owned() }
    }

    /// Publishes nothing while `action` runs, nor in the seconds before it.
    ///
    /// Mosquitto writes its queue to disk every second or two, so a crash may lose what it has just
    /// confirmed. The promises begin behind the broker.
    pub(crate) fn silent_during(&self, action: impl FnOnce()) {
        docker(["pause", &self.name]);
        crate::project::pause(std::time::Duration::from_secs(4));
        action();
        docker(["unpause", &self.name]);
    }

    /// Stops publishing, and returns the report of `thicket-loadtest verify`. Panics if anything
    /// that the broker confirmed is lost.
    pub(crate) fn verify(&self, project: &Project) -> String {
        docker(["stop", "--time", "30", &self.name]);
        let network = project.resource("database");
        let container = ["run", "--rm", "--network", &network, "--volume", &self.volume, &self.image];
        let verify = ["thicket-loadtest", "verify", "--manifest", "/data/witness", "--wait", "60"];
        let database = ["--database", "postgres://thicket:thicket@postgres:5432/thicket"];
        let arguments = container.iter().chain(&verify).chain(&database);
        let output = Command::new("docker").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        shown(&output)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        remove("container", &self.name);
    }
}

//! Which Mac this is, by what its own programs say. Nothing that names a person or one machine
//! among its kind: no serial number, no host's name.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::process::Command;

/// What is asked: a name, and the command whose standard output answers it.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("macos", &["sw_vers"]),
    ("model", &["sysctl", "-n", "hw.model"]),
    ("chip", &["sysctl", "-n", "machdep.cpu.brand_string"]),
    ("memory", &["sysctl", "-n", "hw.memsize"]),
    ("cores", &["sysctl", "-n", "hw.physicalcpu"]),
    (
        "performance cores",
        &["sysctl", "-n", "hw.perflevel0.physicalcpu"],
    ),
    (
        "graphics",
        &["system_profiler", "-json", "SPDisplaysDataType"],
    ),
    ("xcode", &["xcodebuild", "-version"]),
    ("tools", &["xcode-select", "-p"]),
    ("sdk", &["xcrun", "-sdk", "macosx", "--show-sdk-version"]),
    ("metal", &["xcrun", "-sdk", "macosx", "metal", "--version"]),
    ("clang", &["xcrun", "-sdk", "macosx", "clang", "--version"]),
    ("cmake", &["cmake", "--version"]),
];

/// A Mac and what it compiles with; what it would not say is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// `Mac16,8`.
    pub model: String,
    /// `Apple M4 Pro`.
    pub chip: String,
    /// Bytes.
    pub memory: u64,
    /// Cores, and how many of them are the fast ones.
    pub cores: u32,
    /// The fast ones.
    pub performance_cores: u32,
    /// The GPU's cores.
    pub gpu_cores: u32,
    /// The newest Metal that the GPU has: `spdisplays_metal4`.
    pub gpu_metal: String,
    /// `26.0.1`.
    pub macos: String,
    /// `25A362`.
    pub macos_build: String,
    /// `26.0.1`; empty with the command line tools alone.
    pub xcode: String,
    /// `17A400`.
    pub xcode_build: String,
    /// Where the chosen tools are.
    pub tools: String,
    /// The SDK's version.
    pub sdk: String,
    /// What the Metal compiler calls itself: `Apple metal version 32023.864 (metalfe-32023.864)`.
    pub metal: String,
    /// What the C++ compiler calls itself.
    pub clang: String,
    /// cmake, where one is on PATH.
    pub cmake: String,
    /// What could not be asked, with the reason.
    pub unanswered: BTreeMap<String, String>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        Self::told(|argv| {
            let output = Command::new(argv[0])
                .args(&argv[1..])
                .limit(std::time::Duration::from_secs(60))
                .run()
                .map_err(|e| e.what().lines().next().unwrap_or_default().to_string())?;
            Ok(output.stdout)
        })
    }

    /// The one whose programs give these answers.
    pub fn told(ask: impl Fn(&[&str]) -> Result<String, String>) -> Self {
        let mut answers = BTreeMap::new();
        let mut machine = Machine::default();
        for (name, argv) in QUESTIONS {
            match ask(argv) {
                Ok(answer) => {
                    answers.insert(*name, answer);
                }
                Err(why) => {
                    machine.unanswered.insert((*name).into(), why);
                }
            }
        }
        let answer = |name: &str| answers.get(name).map_or("", String::as_str).trim();
        let line = |name: &str| answer(name).lines().next().unwrap_or_default().to_string();
        let number = |name: &str| answer(name).parse().unwrap_or(0);
        machine.model = line("model");
        machine.chip = line("chip");
        machine.memory = answer("memory").parse().unwrap_or(0);
        machine.cores = number("cores");
        machine.performance_cores = number("performance cores");
        machine.macos = field(answer("macos"), "ProductVersion:");
        machine.macos_build = field(answer("macos"), "BuildVersion:");
        machine.xcode = field(answer("xcode"), "Xcode ");
        machine.xcode_build = field(answer("xcode"), "Build version ");
        machine.tools = line("tools");
        machine.sdk = line("sdk");
        machine.metal = line("metal");
        machine.clang = line("clang");
        machine.cmake = line("cmake");
        let gpu = graphics(answer("graphics")).unwrap_or_default();
        let said = |key: &str| gpu.get(key).and_then(|value| value.as_str());
        machine.gpu_cores = said("sppci_cores")
            .and_then(|cores| cores.parse().ok())
            .unwrap_or(0);
        machine.gpu_metal = said("spdisplays_mtlgpufamilysupport")
            .unwrap_or_default()
            .into();
        machine
    }
}

/// What follows `key` on the line that begins with it.
fn field(text: &str, key: &str) -> String {
    let found = text.lines().find_map(|line| line.trim().strip_prefix(key));
    found.unwrap_or_default().trim().into()
}

/// The first GPU of `system_profiler -json SPDisplaysDataType`.
fn graphics(json: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let gpus = value.get("SPDisplaysDataType")?.as_array()?;
    gpus.first()?.as_object().cloned()
}

#[cfg(test)]
pub(crate) mod recorded {
    //! What a Mac's programs print, in their own format.

    /// The answer to a command line.
    pub fn answer(argv: &[&str]) -> Result<String, String> {
        let text = match argv {
            ["sw_vers"] => {
                "ProductName:\t\tmacOS\nProductVersion:\t\t26.0.1\nBuildVersion:\t\t25A362\n"
            }
            ["sysctl", "-n", "hw.model"] => "Mac16,8\n",
            ["sysctl", "-n", "machdep.cpu.brand_string"] => "Apple M4 Pro\n",
            ["sysctl", "-n", "hw.memsize"] => "51539607552\n",
            ["sysctl", "-n", "hw.physicalcpu"] => "14\n",
            ["sysctl", "-n", "hw.perflevel0.physicalcpu"] => "10\n",
            ["system_profiler", ..] => {
                r#"{
  "SPDisplaysDataType" : [
    {
      "_name" : "kHW_AppleM4ProItem",
      "spdisplays_mtlgpufamilysupport" : "spdisplays_metal4",
      "spdisplays_ndrvs" : [
        {
          "_name" : "Color LCD",
          "_spdisplays_display-serial-number" : "fd626d62"
        }
      ],
      "spdisplays_vendor" : "sppci_vendor_Apple",
      "sppci_bus" : "spdisplays_builtin",
      "sppci_cores" : "20",
      "sppci_device_type" : "spdisplays_gpu",
      "sppci_model" : "Apple M4 Pro"
    }
  ]
}
"#
            }
            ["xcodebuild", "-version"] => "Xcode 26.0.1\nBuild version 17A400\n",
            ["xcode-select", "-p"] => "/Applications/Xcode.app/Contents/Developer\n",
            ["xcrun", .., "--show-sdk-version"] => "26.0\n",
            ["xcrun", .., "metal", "--version"] => {
                "Apple metal version 32023.864 (metalfe-32023.864)\n\
                 Target: air64-apple-darwin25.0.0\nThread model: posix\n\
                 InstalledDir: /private/var/run/com.apple.security.cryptexd/mnt/Metal.xctoolchain/usr/metal/current/bin\n"
            }
            ["xcrun", .., "clang", "--version"] => {
                "Apple clang version 17.0.0 (clang-1700.3.19.1)\nTarget: arm64-apple-darwin25.0.0\n"
            }
            ["cmake", "--version"] => "cmake version 4.1.1\n\nCMake suite maintained by Kitware\n",
            _ => return Err(format!("nothing is recorded for {argv:?}")),
        };
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_described_by_what_its_programs_print() {
        let machine = Machine::told(recorded::answer);
        assert_eq!(
            machine,
            Machine {
                model: "Mac16,8".into(),
                chip: "Apple M4 Pro".into(),
                memory: 48 << 30,
                cores: 14,
                performance_cores: 10,
                gpu_cores: 20,
                gpu_metal: "spdisplays_metal4".into(),
                macos: "26.0.1".into(),
                macos_build: "25A362".into(),
                xcode: "26.0.1".into(),
                xcode_build: "17A400".into(),
                tools: "/Applications/Xcode.app/Contents/Developer".into(),
                sdk: "26.0".into(),
                metal: "Apple metal version 32023.864 (metalfe-32023.864)".into(),
                clang: "Apple clang version 17.0.0 (clang-1700.3.19.1)".into(),
                cmake: "cmake version 4.1.1".into(),
                unanswered: BTreeMap::new(),
            }
        );
    }

    #[test]
    fn a_program_that_fails_leaves_its_reason_and_the_rest_stands() {
        let tools_only = "xcode-select: error: tool 'xcodebuild' requires Xcode";
        let machine = Machine::told(|argv| match argv {
            ["xcodebuild", ..] => Err(tools_only.into()),
            ["system_profiler", ..] => Ok("not json".into()),
            _ => recorded::answer(argv),
        });
        assert_eq!(machine.unanswered["xcode"], tools_only);
        assert_eq!((machine.xcode.as_str(), machine.gpu_cores), ("", 0));
        assert_eq!(machine.chip, "Apple M4 Pro");
    }

    #[test]
    fn what_names_one_machine_among_its_kind_is_left_out() {
        let text = serde_json::to_string(&Machine::told(recorded::answer)).unwrap();
        assert!(!text.contains("fd626d62") && !text.to_lowercase().contains("serial"));
    }
}

//! drive ROOT TARGET STOCK_TREE FORK_TREE FORK_ID
use mlx_fork::build::{self, Options, Side, SideInput, sides::Sides};
use mlx_fork::{Result, config::Config, layout::Layout, ui::Ui};
use std::path::{Path, PathBuf};
use std::time::Instant;
struct Say(Instant);
impl Ui for Say {
    fn step(&self, n: &str) {
        eprintln!("{:7.2} == {n}", self.0.elapsed().as_secs_f64())
    }
    fn progress(&self, d: u64, t: u64, at: &str) {
        eprintln!("{:7.2} {d}/{t} {at}", self.0.elapsed().as_secs_f64())
    }
    fn note(&self, t: &str) {
        eprintln!("{:7.2} note {t}", self.0.elapsed().as_secs_f64())
    }
    fn warn(&self, t: &str) {
        eprintln!("{:7.2} WARN {t}", self.0.elapsed().as_secs_f64())
    }
}
fn sync(from: &Path, to: &Path) {
    use mlx_fork::build::files::files_below;
    let rel = |root: &Path| -> std::collections::BTreeSet<PathBuf> {
        if !root.exists() {
            return Default::default();
        }
        files_below(root)
            .unwrap()
            .into_iter()
            .map(|p| p.strip_prefix(root).unwrap().to_path_buf())
            .filter(|p| !p.starts_with(".git"))
            .collect()
    };
    let (a, b) = (rel(from), rel(to));
    for gone in b.difference(&a) {
        std::fs::remove_file(to.join(gone)).unwrap();
    }
    for f in &a {
        let (s, d) = (from.join(f), to.join(f));
        if s.is_symlink() {
            continue;
        }
        let text = std::fs::read(&s).unwrap();
        if std::fs::read(&d).is_ok_and(|t| t == text) {
            continue;
        }
        std::fs::create_dir_all(d.parent().unwrap()).unwrap();
        std::fs::write(&d, text).unwrap();
    }
}
fn main() -> Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let layout = Layout::at(&a[1], &a[2]);
    let (stock, fork, id) = (PathBuf::from(&a[3]), PathBuf::from(&a[4]), &a[5]);
    let mut options = Options {
        source: Some(stock.clone()),
        jobs: Some(2),
        ..Options::default()
    };
    if let Ok(l) = std::env::var("LAUNCHER") {
        options.launcher = l.parse()?;
    }
    let ui = Say(Instant::now());
    let start = Instant::now();
    let tools = build::tools::find(&layout, &options, &ui)?;
    eprintln!("tools {:?}", start.elapsed());
    let start = Instant::now();
    let config = Config::load(&layout)?;
    let third_party = build::third_party::resolve(&layout, &config, &options, &tools, &stock)?;
    eprintln!(
        "third party {:?} {:?}",
        start.elapsed(),
        third_party.cmake_args
    );
    let show = |tree: &str| {
        sync(
            if tree == "stock" { &stock } else { &fork },
            &layout.build_source(),
        );
        Ok(())
    };
    let start = Instant::now();
    let sides = Sides {
        layout: &layout,
        options: &options,
        tools: &tools,
        third_party: &third_party,
        show: &show,
    };
    let input = |side, tree: &str, id: &str| SideInput {
        side,
        tree: tree.into(),
        id: id.into(),
        overlay: vec![],
    };
    let builds = build::stock_and_fork(
        sides,
        &input(Side::Stock, "stock", "pin"),
        &input(Side::Fork, &format!("fork {id}"), id),
        &ui,
    );
    match &builds {
        Ok(b) => eprintln!("{b:#?}"),
        Err(e) => eprintln!("ERROR {:?} {e}\n{:?}", e.kind(), e.hints()),
    }
    eprintln!("sides {:?}", start.elapsed());
    Ok(())
}

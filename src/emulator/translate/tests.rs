use super::*;
#[test]
fn try_all() {
    for f in std::fs::read_dir("/tmp/pp/all").unwrap() {
        let p = f.unwrap().path();
        if p.extension().is_none_or(|e| e != "ii") { continue; }
        let t = std::fs::read_to_string(&p).unwrap();
        let start = std::time::Instant::now();
        let r = Source::new(t, "x").and_then(Unit::read);
        match r {
            Ok(u) => {
                let names: Vec<&str> = u.exports().iter().map(|e| e.name.as_str()).collect();
                println!("OK {} {} kernels {:?}", p.display(), names.len(), start.elapsed());
                std::fs::write(p.with_extension("cpp"), u.text(&names).unwrap()).unwrap();
            }
            Err(e) => println!("ERR {} {e}", p.display()),
        }
    }
}

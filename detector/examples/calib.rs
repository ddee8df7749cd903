use thicket_detector::*;
struct N(u64);
impl N { fn u(&mut self) -> f64 { self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15); let mut z = self.0; z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9); z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb); ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 } fn n(&mut self) -> f64 { (0..12).map(|_| self.u()).sum::<f64>() - 6.0 } }
fn main() {
    let len = 60_000i64;
    for profile in [Profile::Small, Profile::Medium] { for smoothing in [20, 0] { for name in ["normal", "three", "ar", "wave", "daily", "exp", "quant"] {
        let mut n = N(7); let mut level = 0.0;
        let cfg = DetectorConfig { profile, smoothing, ..DetectorConfig::default() };
        let mut d = Detector::new(name, &cfg);
        let mut ss = vec![]; let mut events = 0; let mut last = None;
        for i in 0..len {
            let v = match name { "normal" => vec![n.n()], "three" => vec![n.n(), 1e6 + 1e3 * n.n(), n.n()], "ar" => { level = 0.9 * level + n.n(); vec![level] }, "wave" => vec![10.0 * (i as f64 / 40.0).sin() + n.n()], "daily" => vec![10.0 * (i as f64 / 288.0 * 6.283185307).sin() + n.n()], "exp" => vec![-n.u().ln()], _ => vec![(n.n() * 3.0).round()] };
            let names: Vec<String> = (0..v.len()).map(|k| format!("f{k}")).collect();
            let r = d.apply(i * 300_000_000, &names, &v).unwrap();
            if let Some(e) = &r.event { if last != Some(e.started) { last = Some(e.started); events += 1; } }
            if i > 3000 { if let Some(g) = r.grade { ss.push(g / (1.0 - g)); } }
        }
        ss.sort_by(f64::total_cmp);
        print!("{profile:?} {smoothing:2} {name:8}");
        for k in [1.0, 1.5, 2.0, 2.5, 3.0, 3.3, 3.6, 4.0] { let p = 10f64.powf(-k); let i = ((1.0 - p) * ss.len() as f64) as usize; print!(" {k:.1}:{:.2}", ss[i.min(ss.len() - 1)]); }
        println!("  events {events} in {:.0} weeks", len as f64 / 2016.0);
    } } }
}

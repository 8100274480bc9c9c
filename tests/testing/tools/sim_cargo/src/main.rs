use std::{env, fs, path::Path};

const RATE: f64 = 0.5;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = env::args().collect();
    let steps = words.iter().position(|word| word == "--steps").and_then(|place| words[place + 1].parse().ok());
    let value = RATE.powi(steps.unwrap_or(1));
    println!("{value}");
    let place = env::var("EXPERIMENTSTASH_RUN_DIR").unwrap_or(".".into());
    fs::write(Path::new(&place).join("metrics.json"), format!("{{\"value\": {value}}}\n"))
}

//! The plugin's process: reads the environment, and hands over.

fn main() {}

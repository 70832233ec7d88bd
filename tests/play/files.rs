//! The files that scripts upload.

use std::io::Write;

/// Name and content of a kind of file: `app` and `buildpack` are zips, `droplet` is a tgz.
pub(crate) fn make(kind: &str) -> (&'static str, Vec<u8>) {
    match kind {
        "app" => ("package.zip", zip(&[("index.html", "hello")])),
        "buildpack" => {
            let script = "#!/bin/sh\nexit 0\n";
            let files = [
                ("bin/detect", script),
                ("bin/compile", script),
                ("bin/release", script),
            ];
            ("own_buildpack.zip", zip(&files))
        }
        "droplet" => ("droplet.tgz", droplet()),
        other => panic!("no file {other}"),
    }
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    for (name, content) in files {
        zip.start_file(*name, options).expect("a file");
        zip.write_all(content.as_bytes()).expect("content");
    }
    zip.finish().expect("a zip").into_inner()
}

fn droplet() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let info = r#"{"start_command":"./run"}"#;
    for (name, content) in [("./app/run", "#!/bin/sh\n"), ("./staging_info.yml", info)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, content.as_bytes())
            .expect("a file");
    }
    tar.into_inner().expect("a tar").finish().expect("a tgz")
}

"""Finds out what kind of app a folder holds. usage: app.py FOLDER [MAIN_CLASS]. Prints a JSON object.

kind is one of Spring Boot, Tomcat, Java Main, Dist ZIP, Play Framework, Groovy, Spring Boot CLI, source, none; the other members depend on it.
classes is the number of classes in the app, release the Java that the app's own class `compiled` was compiled for.
"""

import json
import os
import sys
from pathlib import Path

import groovy
from archives import Jar, count_classes, java_release, manifest_of

app = Path(sys.argv[1])
forced = (sys.argv[2] if len(sys.argv) > 2 else "") or os.environ.get("JAVA_MAIN_CLASS", "")


def script_in(folder):
    """The start script of a distribution: the only one, or the first that is no batch file. None when the folder is no distribution."""
    if not any((folder / "lib").glob("*.jar")) or not (folder / "bin").is_dir():
        return None
    scripts = sorted(file for file in (folder / "bin").iterdir() if file.is_file() and file.suffix != ".bat" and not file.name.startswith("."))
    return scripts[0] if scripts else None


def has_play(jars):
    return any(jar.name.startswith(("com.typesafe.play.play_", "org.playframework.play_", "play_", "play.play_")) for jar in jars)


def distribution():
    folders = [app, *sorted(entry for entry in app.iterdir() if entry.is_dir())]
    scripts = [script for script in map(script_in, folders) if script]
    # Play 2.0 and 2.1 had their script at the top; it takes the options of the JVM as arguments.
    old = [folder / "start" for folder in folders if (folder / "start").is_file() and has_play([*folder.glob("lib/*.jar"), *folder.glob("staged/*.jar")])]
    if len(scripts) + len(old) != 1:
        return None
    if old:
        return {"kind": "Play Framework", "script": str(old[0].relative_to(app)), "old": "old"}
    jars = list((scripts[0].parent.parent / "lib").glob("*.jar"))
    boot = any(jar.name.startswith("spring-boot-") for jar in jars)
    kind = "Play Framework" if has_play(jars) else "Spring Boot" if boot else "Dist ZIP"
    return {"kind": kind, "script": str(scripts[0].relative_to(app))}


def class_file(name):
    """Where the folder has a class of its own."""
    for place in ("", "BOOT-INF/classes/", "WEB-INF/classes/"):
        file = app / place / (name.replace(".", "/") + ".class")
        if name and file.is_file():
            return file
    return None


def spring_boot(manifest, jars):
    """An executable jar of Spring Boot: unpacked, or in the folder."""
    if (app / "BOOT-INF").is_dir() and any(name == "Start-Class" or name.startswith("Spring-Boot-") for name in manifest):
        old = manifest.get("Spring-Boot-Version", "3").startswith(("1.", "2."))
        launcher = "org.springframework.boot.loader.JarLauncher" if old else "org.springframework.boot.loader.launch.JarLauncher"
        return {"kind": "Spring Boot", "main": manifest.get("Main-Class", launcher), "class": manifest.get("Start-Class", "")}
    for jar in jars:
        if "Spring-Boot-Version" in jar.manifest:
            return {"kind": "Spring Boot", "jar": jar.path.name, "class": jar.manifest.get("Start-Class", "")}
    return None


def find():
    manifest = manifest_of(app)
    jars = [jar for jar in map(Jar, sorted(app.glob("*.jar"))) if jar.manifest.get("Main-Class")]
    wars = sorted(app.glob("*.war"))
    main = manifest.get("Main-Class", "")
    unpacked = {"kind": "Java Main", "main": main, "class": manifest.get("Start-Class", main), "path": manifest.get("Class-Path", "").split()}
    if len(sys.argv) > 2 and sys.argv[2]:
        return {"kind": "Java Main", "main": forced, "class": forced, "path": []}
    if found := spring_boot(manifest, jars):
        return found
    if groovy.is_spring_boot_cli(app):
        return {"kind": "Spring Boot CLI"}
    if (app / "WEB-INF").is_dir():
        # An executable war brings its own server.
        return unpacked if class_file(main) else {"kind": "Tomcat"}
    if len(wars) == 1:
        return {"kind": "Tomcat", "war": wars[0].name}
    if wars:
        return {"kind": "none", "why": "there is more than one war: " + ", ".join(war.name for war in wars)}
    scripts = groovy.scripts_in(app)
    if scripts and not any(app.rglob("*.class")):
        return {"kind": "Groovy", "script": groovy.main_script(scripts)}
    if found := distribution():
        return found
    if main:
        return unpacked
    if jars:
        return {"kind": "Java Main", "jar": jars[0].path.name, "class": jars[0].manifest["Main-Class"]}
    if forced or any(app.glob("*.class")):
        return {"kind": "Java Main", "main": forced, "class": forced, "path": []}
    source = next((name for name in ("pom.xml", "build.gradle", "build.gradle.kts") if (app / name).is_file()), None)
    return {"kind": "source", "file": source} if source else {"kind": "none", "why": "there is no main class, war, distribution or script"}


def compiled(found):
    """The app's own class to look at, and the Java it needs."""
    name = found.get("class", "")
    if "jar" in found:
        return name, Jar(app / found["jar"]).release_of(name)
    if found["kind"] == "Tomcat" and "war" not in found:
        releases = [(java_release(file.read_bytes()), file.stem) for file in (app / "WEB-INF/classes").rglob("*.class") if file.name != "module-info.class"]
        newest = max(releases, default=(0, ""))
        return newest[1], newest[0]
    file = class_file(name)
    return name, java_release(file.read_bytes()) if file else 0


found = find()
found["compiled"], found["release"] = compiled(found)
found["classes"] = count_classes(app)
boot = sorted(jar.name.removeprefix("spring-boot-") for folder in ("BOOT-INF/lib", "WEB-INF/lib", "lib") for jar in (app / folder).glob("spring-boot-[0-9]*.jar"))
found["boot"] = (boot or [manifest_of(app).get("Spring-Boot-Version", "")])[0].split(".")[0]
found["cfenv"] = any(any((app / folder).glob("java-cfenv*.jar")) for folder in ("BOOT-INF/lib", "WEB-INF/lib", "lib"))
print(json.dumps(found))

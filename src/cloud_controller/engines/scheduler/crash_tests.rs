//! How crashes are recorded.

use super::*;

#[tokio::test]
async fn a_crash_is_recorded_for_the_app_and_its_process() {
    let world = World::new().await;
    let app = world.app("shop").await;
    let crash = Crash {
        instance_guid: "i".into(),
        process_guid: ProcessGuid::from(app.guid.as_str()),
        app_guid: app.guid.clone(),
        process_type: "web".to_owned(),
        index: 0,
        version: "v".to_owned(),
        cell_id: "cell".to_owned(),
        exit_description: "APP/PROC/WEB: Exited with status 1".to_owned(),
        crash_count: 3,
        at: Timestamp::from_micros(2_000_000),
    };
    let gone = Crash {
        app_guid: "gone".into(),
        ..crash.clone()
    };
    world
        .write(move |_, tx| {
            let observer = AppObserver::new(GuidSource::random());
            observer.crashed(tx, &gone)?;
            Ok(observer.crashed(tx, &crash)?)
        })
        .await;
    let events = events(&world, &app.guid).await;
    let [.., (process, of_process), (crashed, of_app)] = &events[..] else {
        panic!("two events")
    };
    assert_eq!(
        (process.as_str(), crashed.as_str()),
        ("audit.app.process.crash", "app.crash")
    );
    assert_eq!(of_process["crash_timestamp"], 2_000_000_000);
    assert_eq!(of_process["crash_count"], 3);
    let expected = json!({
        "instance": "i", "index": 0, "cell_id": "cell",
        "exit_description": "APP/PROC/WEB: Exited with status 1", "reason": "CRASHED",
    });
    assert_eq!(of_app, &expected);
}

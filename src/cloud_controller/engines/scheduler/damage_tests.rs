//! Snapshots that cannot be read.

use super::*;

#[tokio::test]
async fn an_unreadable_snapshot_hides_no_other_and_does_not_stop_its_app() {
    let damages = [
        "update desired_processes set environment = x'00' where process_guid = ?1",
        "update desired_processes set specification = '{' where process_guid = ?1",
        "update desired_processes set image_digest = 'sha256:?' where process_guid = ?1",
        "update desired_processes set droplet_guid = cast(x'ff' as text) where process_guid = ?1",
        "update processes set instances = -1 where guid = ?1",
        "update apps set name = cast(x'ff' as text) where guid = ?1",
    ];
    for damage in damages {
        let mut world = World::new().await;
        let (shop, other) = (world.app("shop").await, world.app("other").await);
        world.start(&shop).await;
        world.start(&other).await;
        let guid = shop.guid.to_string();
        world
            .write(move |_, tx| Ok(tx.sql().execute(damage, [guid])?))
            .await;
        // A new process has read none of them yet.
        let images = Arc::new(|_: &DropletGuid, _: &crate::blobs::Digest| String::new());
        world.desired = Arc::new(DesiredApps::new(world.vault.clone(), images));
        for _ in 0..2 {
            let wanted = world.wanted().await;
            let processes = wanted.processes.iter().map(|one| one.app_guid.as_str());
            assert_eq!(
                processes.collect::<Vec<_>>(),
                [other.guid.as_str()],
                "{damage}"
            );
            let expected = [ProcessGuid::from(shop.guid.as_str())].into();
            assert_eq!(wanted.unreadable, expected, "{damage}");
            assert_eq!(world.db.unreadable_rows(), 1, "{damage}");
        }
    }
}

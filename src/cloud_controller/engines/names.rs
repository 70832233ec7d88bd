//! The names that DNS knows: internal routes with the instances that take traffic now, and the hosts of
//! public routes on domains other than the system domain.
//!
//! An instance is known by the address of its container, also where the router reaches it at a port of
//! this machine: those who ask are containers of the same network.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::base::guid::AppGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::route_table;
use crate::db::ReadTx;
use crate::network::dns::{Instance, InternalRoute, Names};
use crate::scheduler::RoutableInstance;

/// All names of the platform.
pub(crate) fn names(
    tx: &ReadTx<'_>,
    system_domain: &str,
    routable: &[RoutableInstance],
) -> Result<Names> {
    let routes = route_table::internal_routes(tx)?;
    // Most platforms have none, and every commit leads here.
    let processes = if routes.is_empty() {
        HashMap::new()
    } else {
        route_table::processes(tx)?
    };
    let mut running: HashMap<(&AppGuid, &str), Vec<Instance>> = HashMap::new();
    for one in routable {
        let Some((app, kind)) = processes.get(&one.process_guid) else {
            continue;
        };
        if let Some(IpAddr::V4(address)) = one.address.ip {
            let index = one.index;
            let known = running.entry((app, kind)).or_default();
            known.push(Instance { index, address });
        }
    }
    let mut names = Names::new(system_domain);
    names.add_internal_domains(route_table::internal_domains(tx)?);
    for (name, app, kind) in routes {
        let instances = running.get(&(&app, &*kind)).cloned().unwrap_or_default();
        names.add_internal_route(InternalRoute { name, instances });
    }
    names.add_public_hosts(route_table::public_hosts(tx, system_domain)?);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::cloud_controller::error::Error;
    use crate::db::Db;
    use crate::scheduler::InstanceAddress;

    const ROWS: &str = "
        insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'test', 0, 0);
        insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'org', 'q', 0, 0);
        insert into spaces (guid, name, organization_guid, created_at, updated_at) values ('s', 'dev', 'o', 0, 0);
        insert into domains (guid, name, internal, created_at, updated_at) values
            ('d', 'cf.localhost', 0, 0, 0), ('sub', 'team.cf.localhost', 0, 0, 0), ('x', 'xcf.localhost', 0, 0, 0),
            ('i', 'apps.internal', 1, 0, 0);
        insert into apps (guid, name, space_guid, lifecycle_type, created_at, updated_at) values
            ('shop', 'shop', 's', 'buildpack', 0, 0), ('copy', 'copy', 's', 'buildpack', 0, 0);
        insert into processes (guid, app_guid, type, instances, memory_in_mb, disk_in_mb, health_check_type, version,
            created_at, updated_at) values
            ('shop-web', 'shop', 'web', 2, 64, 64, 'port', 'v', 0, 0),
            ('shop-api', 'shop', 'api', 1, 64, 64, 'port', 'v', 0, 0),
            ('copy-web', 'copy', 'web', 1, 64, 64, 'port', 'v', 0, 0);
        insert into droplets (guid, app_guid, state, lifecycle_type, created_at, updated_at) values
            ('w', 'shop', 'STAGED', 'buildpack', 0, 0);
        insert into desired_processes (process_guid, app_guid, process_type, version, droplet_guid, image_digest,
            specification, environment) values
            ('shop-web', 'shop', 'web', 'v', 'w', '', '{}', x''), ('shop-api', 'shop', 'api', 'v', 'w', '', '{}', x''),
            ('copy-web', 'copy', 'web', 'v', 'w', '', '{}', x'');
        insert into routes (guid, space_guid, domain_guid, host, path, created_at, updated_at) values
            ('r1', 's', 'i', 'shop', '', 0, 0), ('r2', 's', 'd', 'shop', '', 0, 0), ('r3', 's', 'sub', 'shop', '', 0, 0),
            ('r4', 's', 'x', 'shop', '', 0, 0), ('r5', 's', 'x', 'shop', '/path', 0, 0), ('r6', 's', 'x', '*', '', 0, 0),
            ('r7', 's', 'x', '', '', 0, 0), ('r8', 's', 'i', 'api', '', 0, 0);
        insert into destinations (guid, route_guid, app_guid, process_type, port, protocol, created_at, updated_at) values
            ('t1', 'r1', 'shop', 'web', 8080, 'http1', 0, 0), ('t2', 'r1', 'shop', 'web', 9090, 'http1', 0, 0),
            ('t3', 'r1', 'copy', 'web', 8080, 'http1', 0, 0), ('t4', 'r8', 'shop', 'api', 8080, 'http1', 0, 0);
    ";

    fn instance(process: &str, index: u32, ip: Option<IpAddr>) -> RoutableInstance {
        RoutableInstance {
            instance_guid: format!("{process}-{index}").into(),
            process_guid: process.into(),
            app_guid: "unused".into(),
            index,
            address: InstanceAddress {
                ip,
                // As where containers are not routable.
                ports: BTreeMap::from([(8080, ([127, 0, 0, 1], 40_000).into())]),
            },
        }
    }

    #[tokio::test]
    async fn names_come_from_routes_and_running_instances() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        db.write(|tx| Ok::<_, Error>(tx.sql().execute_batch(ROWS)?))
            .await
            .expect("rows");
        let ip = |last| Some(IpAddr::from([172, 18, 1, last]));
        let routable = [
            instance("shop-web", 0, ip(1)),
            instance("shop-web", 1, ip(2)),
            instance("shop-web", 2, None),
            instance("copy-web", 0, ip(3)),
            instance("gone", 0, ip(4)),
        ];
        let read = db.read(move |tx| names(tx, "cf.localhost", &routable));
        let found = read.await.expect("names");

        let at = |index, last| Instance {
            index,
            address: Ipv4Addr::new(172, 18, 1, last),
        };
        let mut expected = Names::new("cf.localhost");
        expected.add_internal_domains(["apps.internal".to_owned()]);
        for (name, instances) in [
            ("shop.apps.internal", vec![at(0, 1), at(1, 2), at(0, 3)]),
            ("api.apps.internal", vec![]),
        ] {
            expected.add_internal_route(InternalRoute {
                name: name.to_owned(),
                instances,
            });
        }
        let hosts = ["shop.xcf.localhost", "*.xcf.localhost", "xcf.localhost"];
        expected.add_public_hosts(hosts.map(str::to_owned));
        assert_eq!(found, expected);
    }
}

use super::*;
use proptest::prelude::*;

/// Close together, so that paths are found; with some that are not.
fn versions() -> impl Strategy<Value = KubernetesVersion> {
    let number = prop_oneof![20 => 30_u64..38, 1 => Just(0), 1 => Just(u64::MAX)];
    let major = prop_oneof![20 => Just(1_u64), 1 => Just(0), 1 => Just(2), 1 => Just(u64::MAX)];
    let suffix = prop_oneof![8 => Just(""), 1 => Just("-rc.1"), 1 => Just("+a"), 1 => Just("+b")];
    (major, number, 0_u64..4, suffix)
        .prop_map(|(major, minor, patch, suffix)| version(&format!("{major}.{minor}.{patch}{suffix}")))
}

/// What can be handed over: the target among the images or not, a class with a list or without.
#[derive(Clone, Debug)]
struct Case {
    current: KubernetesVersion,
    worker: Option<KubernetesVersion>,
    target: KubernetesVersion,
    class: Vec<Box<str>>,
    images: Vec<Hop<usize>>,
}

prop_compose! {
    fn cases()(
        current in versions(),
        worker in prop::option::of(versions()),
        mut has in prop::collection::vec(versions(), 0..24),
        unlisted in prop::collection::vec(any::<bool>(), 24),
        target in versions(),
        target_has_image in any::<bool>(),
        class in any::<bool>(),
    ) -> Case {
        if target_has_image {
            has.push(target.clone());
        }
        let listed = has.iter().zip(&unlisted).filter(|(_, unlisted)| !**unlisted);
        let class = if class { listed.map(|(version, _)| version.to_string().into()).collect() } else { Vec::new() };
        let images = has.into_iter().enumerate().map(|(image, version)| Hop { version, image }).collect();
        Case { current, worker, target, class, images }
    }
}

impl Case {
    fn path(&self) -> Path<'_, usize> {
        let allowed = Allowed::of_class(&self.class);
        path(&self.current, self.worker.as_ref(), &self.target, allowed, &self.images)
    }

    /// Versions of a minor that have an image and are neither older than the Cluster nor above the target.
    fn leading_on(&self, from: &KubernetesVersion, minor: Minor) -> Vec<&KubernetesVersion> {
        let versions = self.images.iter().map(|hop| &hop.version).filter(|it| Minor::from(*it) == minor);
        versions.filter(|it| it.is_newer_than(from) && !it.is_newer_than(&self.target)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_hop_is_down_over_a_minor_above_the_target_or_without_its_image(case in cases()) {
        let mut from = &case.current;
        for hop in case.path().hops {
            prop_assert!(from.hop_to(&hop.version).is_one_step(), "{} to {}", from, hop.version);
            prop_assert!(!hop.version.is_newer_than(&case.target));
            prop_assert_eq!(&case.images[hop.image].version, &hop.version);
            prop_assert!(Allowed::of_class(&case.class).contains(&hop.version));
            from = &hop.version;
        }
    }

    #[test]
    fn it_ends_at_the_target_or_says_truly_what_is_missing(case in cases()) {
        let found = case.path();
        let end = found.hops.last().map_or(&case.current, |hop| &hop.version);
        match found.stopped {
            None => prop_assert_eq!(end, &case.target),
            Some(NoHop::Done) => prop_assert!(false, "done is no obstacle"),
            Some(NoHop::Rebuild) => {
                prop_assert!(end != &case.target && end.cmp_precedence(&case.target).is_eq());
            }
            Some(NoHop::Downgrade) => prop_assert!(found.hops.is_empty() && end.is_newer_than(&case.target)),
            Some(NoHop::NextMajor) => prop_assert!(found.hops.is_empty() && end.major() < case.target.major()),
            Some(NoHop::WorkerSkew { next, worker, most }) => {
                prop_assert_eq!(Some(&worker), case.worker.as_ref());
                prop_assert_eq!(Some(next), Minor::from(end).next());
                prop_assert!(found.hops.is_empty());
                prop_assert!(worker.major() < next.major || worker.minor() + most < next.minor);
            }
            Some(NoHop::Missing { minor }) => {
                prop_assert_eq!(Some(minor), Minor::from(end).next());
                prop_assert!(minor < Minor::from(&case.target));
                prop_assert!(case.leading_on(end, minor).is_empty());
            }
            Some(NoHop::TargetMissing { target }) => {
                prop_assert_eq!(&target, &case.target);
                prop_assert!(case.images.iter().all(|hop| hop.version != target));
                prop_assert!(end.hop_to(&target).is_one_step());
            }
            Some(NoHop::NotListed { minor, newest }) => {
                let leading_on = case.leading_on(end, minor);
                prop_assert!(leading_on.contains(&&newest));
                prop_assert!(!case.class.is_empty());
                prop_assert!(!case.class.contains(&newest.to_string().into()));
            }
        }
    }

    #[test]
    fn without_a_class_list_every_minor_on_the_way_gives_its_newest(case in cases()) {
        let case = Case { class: Vec::new(), ..case };
        let mut from = &case.current;
        for hop in case.path().hops {
            if hop.version != case.target {
                let of_minor = case.leading_on(from, Minor::from(&hop.version));
                prop_assert!(of_minor.iter().all(|other| !other.is_newer_than(&hop.version)));
            }
            from = &hop.version;
        }
    }

    #[test]
    fn the_order_of_images_that_are_not_equally_new_plays_no_part(case in cases(), seed in any::<prop::sample::Index>()) {
        let mut case = case;
        let mut seen: Vec<KubernetesVersion> = Vec::new();
        case.images.retain(|hop| {
            let new = seen.iter().all(|other| other.cmp_precedence(&hop.version).is_ne());
            seen.push(hop.version.clone());
            new
        });
        let mut turned = case.clone();
        if !turned.images.is_empty() {
            turned.images.rotate_left(seed.index(case.images.len()));
            turned.images.reverse();
        }
        let versions = |path: &Path<'_, usize>| -> Vec<KubernetesVersion> {
            path.hops.iter().map(|hop| hop.version.clone()).collect()
        };
        let (one, other) = (case.path(), turned.path());
        prop_assert_eq!(versions(&one), versions(&other));
        prop_assert_eq!(one.stopped, other.stopped);
    }
}

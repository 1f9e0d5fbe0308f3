"""What typed methods take and answer beside Python's own types: images, sounds, concepts, regions, named fields."""

"""Vocabulary: which words mean what. Tables only; `words.py` reads prompts with them.

A phrase may be several words. Plurals with -s, -es and -ies are found without being listed. Where a word could
mean two things the more common meaning in video prompts is taken ("fall" is not autumn, "light" is nothing).
"""

from enum import StrEnum


class Place(StrEnum):
    """What the ground and the background are made of."""

    SEA = "sea"
    BEACH = "beach"
    LAKE = "lake"
    MOUNTAINS = "mountains"
    HILLS = "hills"
    CANYON = "canyon"
    CITY = "city"
    STREET = "street"
    FOREST = "forest"
    JUNGLE = "jungle"
    DESERT = "desert"
    FIELD = "field"
    SNOWFIELD = "snowfield"
    SKY = "sky"
    SPACE = "space"
    UNDERWATER = "underwater"
    ROOM = "room"
    KITCHEN = "kitchen"
    OFFICE = "office"


class Kind(StrEnum):
    """Who or what the picture is about."""

    CAT = "cat"
    DOG = "dog"
    BIRD = "bird"
    HORSE = "horse"
    FISH = "fish"
    DEER = "deer"
    ANIMAL = "animal"
    PERSON = "person"
    PEOPLE = "people"
    PORTRAIT = "portrait"
    CAR = "car"
    BOAT = "boat"
    SHIP = "ship"
    TRAIN = "train"
    PLANE = "plane"
    ROCKET = "rocket"
    BALLOON = "balloon"
    LIGHTHOUSE = "lighthouse"
    HOUSE = "house"


class Hour(StrEnum):
    """The light of the day."""

    DAWN = "dawn"
    NOON = "noon"
    GOLDEN = "golden"
    DUSK = "dusk"
    NIGHT = "night"


class Weather(StrEnum):
    RAIN = "rain"
    SNOW = "snow"
    FOG = "fog"
    STORM = "storm"
    WIND = "wind"
    CLOUDS = "clouds"
    CLEAR = "clear"


class Tone(StrEnum):
    """What is done to all colours at the end."""

    NOIR = "noir"
    PASTEL = "pastel"
    WARM = "warm"
    COLD = "cold"
    NEON = "neon"


class Extra(StrEnum):
    """Things in the sky and in the air."""

    SUN = "sun"
    MOON = "moon"
    STARS = "stars"
    AURORA = "aurora"
    FIREFLIES = "fireflies"


PLACES: dict[Place, str] = {
    Place.SEA: "sea, ocean, wave, surf, harbour, harbor, coast, coastline, bay, pacific, atlantic, seaside, surfer,"
    " maritime, cliff, fjord, marina, port, pier",
    Place.BEACH: "beach, shore, seashore, sand beach, tropical, island, palm tree, lagoon, coconut",
    Place.LAKE: "lake, pond, river, reservoir, wetland, loch, stream, creek, waterfall, mirror lake, swamp",
    Place.MOUNTAINS: "mountain, alp, alps, peak, summit, himalaya, himalayas, ridge, everest, andes, glacier, volcano,"
    " patagonia, dolomites, mount fuji, fuji, range, alpine",
    Place.HILLS: "hill, valley, highland, rolling hills, tuscany, downs, moor, vineyard, scotland, hillside",
    Place.CANYON: "canyon, mesa, gorge, butte, badlands, monument valley, grand canyon, arizona, utah, mars, martian",
    Place.CITY: "city, skyline, cityscape, downtown, skyscraper, metropolis, urban, town, manhattan, new york, tokyo,"
    " rooftop, hong kong, shanghai, london, paris, building, tower, shinjuku, megacity, seoul, chicago, bridge",
    Place.STREET: "street, alley, alleyway, avenue, road junction, crosswalk, sidewalk, market, boulevard, shop, cafe,"
    " bar, cyberpunk, pavement",
    Place.FOREST: "forest, tree, wood, woods, woodland, pine, grove, redwood, taiga, birch, oak, autumn leaves, glade,"
    " park, garden",
    Place.JUNGLE: "jungle, rainforest, amazon, bamboo, fern, vine",
    Place.DESERT: "desert, dune, sahara, sand dune, oasis, gobi, camel, cactus, wasteland, sand",
    Place.FIELD: "field, meadow, grass, prairie, plain, grassland, wheat, farm, savanna, savannah, flower, lavender,"
    " countryside, pasture, sunflower, poppy, rice field, steppe, lawn, village, highway, road",
    Place.SNOWFIELD: "arctic, tundra, antarctica, ice, iceberg, polar, ski, winter, frozen",
    Place.SKY: "sky, cloudscape, above the clouds, heaven, cumulus, skies",
    Place.SPACE: "space, outer space, galaxy, nebula, planet, cosmos, universe, orbit around earth, saturn, jupiter,"
    " asteroid, black hole, milky way, spacecraft, starship, cosmic, solar system, spacewalk, interstellar",
    Place.UNDERWATER: "underwater, coral, reef, coral reef, seabed, deep sea, aquarium, kelp, under the sea,"
    " under the ocean, scuba, diver",
    Place.ROOM: "room, interior, living room, bedroom, indoors, indoor, library, studio, apartment, hallway, sofa,"
    " couch, armchair, fireplace, window sill, windowsill, house interior, lounge, attic, museum, gallery,"
    " classroom, inside, desk lamp, bookshelf, hotel",
    Place.KITCHEN: "kitchen, cooking, chef, stove, cook, baking, kettle, teapot, coffee, breakfast, dinner, restaurant",
    Place.OFFICE: "office, desk, workspace, meeting room, computer, laptop, boardroom, programmer, newsroom,"
    " laboratory",
}

KINDS: dict[Kind, str] = {
    Kind.CAT: "cat, kitten, kitty, tabby, feline",
    Kind.DOG: "dog, puppy, corgi, labrador, retriever, golden retriever, husky, terrier, poodle, hound, shiba, beagle",
    Kind.BIRD: "bird, gull, seagull, eagle, crow, raven, hawk, sparrow, swallow, crane bird, heron, goose, geese, owl,"
    " falcon, flock, pigeon, dove, swan, pelican, albatross, parrot, duck",
    Kind.HORSE: "horse, pony, stallion, mare, mustang, foal, unicorn, zebra, rider",
    Kind.FISH: "fish, shark, whale, dolphin, salmon, tuna, koi, goldfish, orca, manta, turtle, jellyfish, octopus",
    Kind.DEER: "deer, stag, elk, reindeer, moose, antelope, gazelle, doe, fawn, caribou",
    Kind.ANIMAL: "animal, fox, wolf, wolves, lion, tiger, bear, cow, sheep, goat, elephant, leopard, panther, rabbit,"
    " buffalo, bison, pig, creature, dragon, dinosaur, monkey, panda, giraffe, beast, lynx, donkey, bull, otter, hare",
    Kind.PERSON: "person, man, woman, girl, boy, child, kid, hiker, astronaut, dancer, runner, figure, traveller,"
    " traveler, monk, samurai, soldier, farmer, worker, detective, hero, surfer, lady, guy, king, queen, warrior,"
    " cowboy, wizard, knight, fisherman, climber, wanderer, silhouette, robot, ballerina, skater, photographer,"
    " scientist, musician, barista, chef, programmer, pilot, sailor, painter, grandmother, grandfather, mother,"
    " father, someone, stranger, skier, swimmer, tourist",
    Kind.PEOPLE: "people, crowd, couple, family, friends, children, men, women, dancers, crew, team, lovers,"
    " pedestrian, commuter, audience, students, kids",
    Kind.PORTRAIT: "portrait, face, close-up of a woman, close-up of a man, headshot, closeup of a woman,"
    " closeup of a man, eyes, talking head, presenter, smile, selfie",
    Kind.CAR: "car, taxi, cab, truck, van, bus, automobile, sports car, suv, jeep, sedan, convertible, vehicle,"
    " motorcycle, motorbike, traffic, racing car, pickup",
    Kind.BOAT: "boat, sailboat, sailing boat, yacht, canoe, kayak, rowboat, gondola, dinghy, catamaran, sail, raft",
    Kind.SHIP: "ship, vessel, ferry, liner, cruise ship, tanker, freighter, container ship, warship, steamer,"
    " pirate ship, trawler",
    Kind.TRAIN: "train, locomotive, railway, tram, subway, metro, steam train, rail, bullet train",
    Kind.PLANE: "plane, airplane, aeroplane, aircraft, jet, airliner, glider, helicopter, biplane",
    Kind.ROCKET: "rocket, spaceship, space shuttle, shuttle, launch, missile, spacecraft, starship, lift-off, liftoff",
    Kind.BALLOON: "hot air balloon, hot-air balloon, balloon, airship, zeppelin, blimp",
    Kind.LIGHTHOUSE: "lighthouse, beacon",
    Kind.HOUSE: "house, cabin, cottage, barn, hut, chalet, farmhouse, home, log cabin, shed, church, castle, temple",
}

HOURS: dict[Hour, str] = {
    Hour.DAWN: "dawn, sunrise, daybreak, early morning, first light, morning",
    Hour.NOON: "noon, midday, daylight, daytime, bright day, sunny, day, afternoon, summer day, sunlit, summer, spring",
    Hour.GOLDEN: "golden hour, golden light, late afternoon, golden, low sun, magic hour, autumn, amber light, sepia",
    Hour.DUSK: "dusk, sunset, twilight, evening, blue hour, sundown, gloaming, nightfall",
    Hour.NIGHT: "night, midnight, nighttime, moonlight, moonlit, starry, after dark, nocturnal, dark night, candlelit,"
    " starlight, candlelight, darkness",
}

WEATHERS: dict[Weather, str] = {
    Weather.RAIN: "rain, rainy, raining, drizzle, downpour, shower, monsoon, wet street, raindrop, rain-soaked",
    Weather.SNOW: "snow, snowy, snowing, snowfall, blizzard, snowflake, snowstorm",
    Weather.FOG: "fog, foggy, mist, misty, haze, hazy, smog, smoke, smoky",
    Weather.STORM: "storm, stormy, thunder, thunderstorm, lightning, tempest, hurricane, tornado, typhoon",
    Weather.WIND: "wind, windy, breeze, breezy, gust",
    Weather.CLOUDS: "cloud, cloudy, overcast, clouded",
    Weather.CLEAR: "clear, cloudless, clear sky, blue sky",
}

TONES: dict[Tone, str] = {
    Tone.NOIR: "noir, film noir, black and white, black-and-white, monochrome, grayscale, greyscale, b&w",
    Tone.PASTEL: "pastel, soft colours, soft colors, dreamy, watercolor, watercolour",
    Tone.WARM: "warm, cozy, cosy, hot, fire, firelight, toasty",
    Tone.COLD: "cold, cool, icy, chilly, frosty, frost, bleak",
    Tone.NEON: "neon, cyberpunk, synthwave, vaporwave, neon-lit, blade runner, retrowave, neon sign, hologram",
}

EXTRAS: dict[Extra, str] = {
    Extra.SUN: "sun, sunlight, sunbeam, sunray, sunshine, sunset, sunrise",
    Extra.MOON: "moon, moonlight, moonlit, full moon, crescent",
    Extra.STARS: "star, starry, starlight, starry sky, milky way, constellation, night sky",
    Extra.AURORA: "aurora, aurora borealis, northern lights, polar lights",
    Extra.FIREFLIES: "firefly, fireflies, lantern, spark, ember, glowing particles, fairy lights",
}

COLOURS: dict[str, str] = {
    "red": "#c8322b",
    "crimson": "#a51c30",
    "scarlet": "#d62f1f",
    "orange": "#e8802a",
    "amber": "#f0a63a",
    "gold": "#e3b04b",
    "yellow": "#efc93d",
    "green": "#4f9a55",
    "emerald": "#1f8f68",
    "olive": "#7c8040",
    "teal": "#1f8a8c",
    "turquoise": "#2fb5b0",
    "cyan": "#2cc3d6",
    "blue": "#2f6bd0",
    "azure": "#3c8fe0",
    "navy": "#20346e",
    "indigo": "#46389a",
    "purple": "#7d3fa8",
    "violet": "#8a4fd0",
    "magenta": "#c8358f",
    "pink": "#ea86ae",
    "rose": "#dd6a86",
    "lavender": "#a48fd6",
    "brown": "#7a5236",
    "beige": "#d6c2a0",
    "white": "#f1efe9",
    "black": "#16161a",
    "grey": "#85898f",
    "gray": "#85898f",
    "silver": "#b8bec6",
    "ginger": "#c8732f",
}

# A colour before one of these is worn by the person in the picture and does not colour the scene.
GARMENTS = frozenset({
    "coat", "dress", "scarf", "jacket", "hat", "shirt", "cloak", "umbrella", "sweater", "hood", "hoodie", "suit",
    "raincoat", "skirt", "kimono", "robe", "cape", "trousers", "jeans", "helmet", "hair", "uniform", "gown", "boots",
    "backpack",
})  # fmt: skip
WEARERS = frozenset({Kind.PERSON, Kind.PEOPLE, Kind.PORTRAIT})

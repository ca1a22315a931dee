import { common, shop } from "../texts/en";

export default { ...common, ...shop };

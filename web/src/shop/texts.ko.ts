import { common, shop } from "../texts/ko";

export default { ...common, ...shop };

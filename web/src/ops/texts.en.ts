import { common, ops } from "../texts/en";

export default { ...common, ...ops };

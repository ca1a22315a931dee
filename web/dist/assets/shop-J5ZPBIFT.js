import"./shop.chunk-F6MYGIYX.js";import"./shop.chunk-NOV75CWV.js";
